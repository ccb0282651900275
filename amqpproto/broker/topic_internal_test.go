package broker

import (
	"slices"
	"strings"
	"testing"
)

// naiveTopic matches words against words, the way the specification puts it.
func naiveTopic(pattern, words []string) bool {
	switch {
	case len(pattern) == 0:
		return len(words) == 0
	case pattern[0] == "#":
		for i := 0; i <= len(words); i++ {
			if naiveTopic(pattern[1:], words[i:]) {
				return true
			}
		}
		return false
	case len(words) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == words[0]) && naiveTopic(pattern[1:], words[1:])
}

func topicWords(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, ".")
}

func FuzzTopic(f *testing.F) {
	f.Add("a.b a.* # *.b #.b a.#.#.b a..b . .. ", "a.b")
	f.Add("#.#.#.# *.#.* #.a.#.a.#", "a.a.a")
	f.Add(" # *", "")
	f.Add("a. .a a.*", "a.")
	f.Fuzz(func(t *testing.T, keys, key string) {
		if len(keys) > 200 || len(key) > 40 {
			return
		}
		var root topicNode
		var all []*binding
		var matcher topicMatcher
		fits := func(b *binding) bool { return naiveTopic(topicWords(b.key), topicWords(key)) }
		check := func() {
			t.Helper()
			var got, want []string
			for _, n := range matcher.match(&root, []byte(key)) {
				for _, b := range n.bindings {
					got = append(got, b.key)
				}
			}
			for _, b := range all {
				if fits(b) {
					want = append(want, b.key)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%q goes through %q, should through %q", key, got, want)
			}
		}
		for k := range strings.SplitSeq(keys, " ") {
			b := &binding{key: k}
			all = append(all, b)
			root.add(b)
		}
		check()
		for len(all) > 0 {
			i := len(all) / 2
			root.remove(all[i])
			all = slices.Delete(all, i, i+1)
			check()
		}
		if len(root.words) > 0 || root.star != nil || root.hash != nil || len(root.bindings) > 0 {
			t.Fatal("an empty trie has places")
		}
	})
}

// TestTopicManyHashes takes for ever if the ways through a key are tried one
// after the other.
func TestTopicManyHashes(t *testing.T) {
	var root topicNode
	root.add(&binding{key: strings.Repeat("#.*.", 30) + "end"})
	var matcher topicMatcher
	if nodes := matcher.match(&root, []byte(strings.Repeat("a.", 120)+"a")); slices.ContainsFunc(nodes, func(n *topicNode) bool { return len(n.bindings) > 0 }) {
		t.Error("it ends in a")
	}
	nodes := matcher.match(&root, []byte(strings.Repeat("a.", 120)+"end"))
	if !slices.ContainsFunc(nodes, func(n *topicNode) bool { return len(n.bindings) > 0 }) {
		t.Error("it ends in end")
	}
}
