package interop_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/tests/kit/process"
)

// oapiCodegen generates the client. It reads OpenAPI 3.1 since 2.8.
const oapiCodegen = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

// TestDocumentsOfTheInterface: what the server serves at /openapi.json and /asyncapi.json is what the
// command prints, the validators of both formats take it, and a client that is generated from it
// calls the server.
func TestDocumentsOfTheInterface(t *testing.T) {
	s := startOutsider(t, "embedded", "broker.listen=", "http.documents=true")
	defer s.stop()
	dir := t.TempDir()
	openAPI, asyncAPI := filepath.Join(dir, "openapi.json"), filepath.Join(dir, "asyncapi.json")
	for _, file := range []string{openAPI, asyncAPI} {
		text := getDocument(t, s.url+"/"+filepath.Base(file))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("command", func(t *testing.T) {
		path, err := outsider()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "routes", "--openapi")
		cmd.Dir, cmd.Env = t.TempDir(), process.Environment()
		out, err := cmd.Output()
		if served, _ := os.ReadFile(openAPI); err != nil || string(out) != string(served) {
			t.Errorf("%v: routes --openapi prints\n%s\nand served is\n%s", err, out, served)
		}
	})
	t.Run("validators", func(t *testing.T) { validateDocuments(t, openAPI, asyncAPI) })
	t.Run("generated client", func(t *testing.T) { callByGeneratedClient(t, openAPI, s.url) })
}

// TestTheServerHasNoValidator: a program without typed handlers is not made larger by what checks
// their values. Its tag validateFn calls methods by name, for which the linker keeps all methods of
// all types. Who only describes types must not refer to it: see binding.Read.
func TestTheServerHasNoValidator(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	without, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if path, err = outsider(); err != nil {
		t.Fatal(err)
	}
	with, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if function := []byte("tryCallValidateFn"); bytes.Contains(without, function) || !bytes.Contains(with, function) {
		t.Errorf("in the server: %v, in one with typed handlers: %v", bytes.Contains(without, function), bytes.Contains(with, function))
	}
}

// getDocument gets a document, and asks again with its ETag.
func getDocument(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Body.Close(); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %v %s", url, err, resp.Status)
	}
	req, _ := http.NewRequest("GET", url, nil)
	req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
	again, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if again.Body.Close(); again.StatusCode != 304 {
		t.Errorf("%s with its ETag: %s", url, again.Status)
	}
	return string(body)
}

func validateDocuments(t *testing.T, openAPI, asyncAPI string) {
	modules, err := filepath.Abs(filepath.Join("..", "..", "bin", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	env := append(process.Environment(), "NODE_PATH="+modules)
	there := exec.Command("node", "-e", "require('@apidevtools/swagger-parser'), require('@asyncapi/parser')")
	there.Env = env
	if err := there.Run(); err != nil {
		t.Skip("the validators are not installed (npm install --prefix bin @apidevtools/swagger-parser@12 @asyncapi/parser@3)")
	}
	validate := func(openAPI, asyncAPI string) (string, error) {
		cmd := exec.Command("node", "documents.js", openAPI, asyncAPI)
		cmd.Dir, cmd.Env = "clients", env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := validate(openAPI, asyncAPI); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	broken := func(file, old, new string) string { // the validators must see something
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%s: %v, and no %s", file, err, old)
		}
		other := file + ".broken"
		if err := os.WriteFile(other, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return other
	}
	out, err := validate(broken(openAPI, `"responses"`, `"answers"`), broken(asyncAPI, `"receive"`, `"take"`))
	if err == nil || !strings.Contains(out, "openapi: ") || !strings.Contains(out, "asyncapi: ") {
		t.Errorf("two broken documents went through: %v\n%s", err, out)
	}
}

func callByGeneratedClient(t *testing.T, openAPI, url string) {
	dir, err := module("generated", "example.org/generated", "github.com/oapi-codegen/runtime v1.9.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "client"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"run", oapiCodegen, "-generate", "types,client", "-package", "client", "-o", filepath.Join(dir, "client", "client.go"), openAPI},
		{"run", "-mod=mod", "-tags=outside", ".", url},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, process.Environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
