package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/rabbitmq"
)

// namespaceEnv is set in a test process that has a network of its own.
const namespaceEnv = "CHAOS_NAMESPACE"

// ownNetwork runs the test in a child process with a network and mounts of its
// own, where the machine allows that; handled means that this was done, and the
// test is over. Only there may it add addresses, routes and disks.
func ownNetwork(t *testing.T) (handled bool) {
	t.Helper()
	if isolated() {
		command(t, "ip link set lo up")
		return false
	}
	if os.Geteuid() != 0 {
		return false
	}
	for _, tool := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("no network of our own, so no partitions: %v", err)
			return false
		}
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Args = append(cmd.Args, "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Logf("no network of our own, so no partitions: %v", err)
		return false
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	return true
}

func isolated() bool { return os.Getenv(namespaceEnv) != "" }

// command runs a tool that has to do its work.
func command(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// smallDisk mounts a disk of a few MiB on dir, if that is possible.
func smallDisk(t *testing.T, dir string) bool {
	if !isolated() {
		t.Log("no disk is filled: that takes root")
		return false
	}
	command(t, "mount --make-rprivate /")
	command(t, "mount -t tmpfs -o size=8m tmpfs "+dir)
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return true
}

// namespaces makes n places for nodes: network namespaces that hang at a bridge
// in ours, at 10.99.0.1 and so on. cut takes one from the others, but not from
// us, until the function that it returns is called. Without them the places are on
// loopback, and cut is nil.
func namespaces(t *testing.T, n int) (places []rabbitmq.Place, cut func(i int) (heal func())) {
	t.Helper()
	if !isolated() {
		t.Log("the nodes are on loopback, and there are no partitions: those take root")
		return make([]rabbitmq.Place, n), nil
	}
	command(t, "ip link add bridge type bridge")
	t.Cleanup(func() { command(t, "ip link del bridge") })
	command(t, "ip addr add 10.99.0.254/24 dev bridge")
	command(t, "ip link set bridge up")
	for i := range n {
		holder := exec.Command("unshare", "--net", "sleep", "infinity")
		holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
		address, enter := fmt.Sprintf("10.99.0.%d", i+1), fmt.Sprintf("nsenter --net=/proc/%d/ns/net ", holder.Process.Pid)
		awaitNamespace(t, holder.Process.Pid)
		command(t, fmt.Sprintf("ip link add node%d type veth peer name eth0 netns %d", i, holder.Process.Pid))
		command(t, fmt.Sprintf("ip link set node%d master bridge", i))
		command(t, fmt.Sprintf("ip link set node%d up", i))
		command(t, enter+"ip link set lo up")
		command(t, enter+"ip addr add "+address+"/24 dev eth0")
		command(t, enter+"ip link set eth0 up")
		places = append(places, rabbitmq.Place{Address: address, Command: strings.Fields(enter)})
	}
	return places, func(i int) func() {
		change := func(verb string) {
			for k := range places {
				if k != i {
					command(t, strings.Join(places[i].Command, " ")+" ip route "+verb+" blackhole "+places[k].Address+"/32")
					command(t, strings.Join(places[k].Command, " ")+" ip route "+verb+" blackhole "+places[i].Address+"/32")
				}
			}
		}
		change("add")
		return func() { change("del") }
	}
}

// awaitNamespace returns when unshare has done its work: its namespace is not ours.
func awaitNamespace(t *testing.T, pid int) {
	t.Helper()
	own, _ := os.Readlink("/proc/self/ns/net")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil && theirs != own {
			return
		}
	}
	t.Fatal("unshare has made no namespace")
}

// partition takes one node from the two others for some time. Clients reach all
// of them; the one that is alone stops, as it is the minority.
func partition(cut func(int) func()) fault {
	var heal func()
	return fault{kind: "node: partition", deaths: brokers, hold: 20 * time.Second,
		breaks: func(*rig) { heal = cut(rand.N(3)) }, heals: func(*rig) { heal() }}
}
