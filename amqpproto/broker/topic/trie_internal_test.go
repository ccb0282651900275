package topic

import (
	"slices"
	"strings"
	"testing"
)

// pattern is an item.
type pattern struct {
	key string
	at  int
}

func (p *pattern) Key() string { return p.key }
func (p *pattern) Place() *int { return &p.at }

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
		var trie Trie[*pattern]
		var all []*pattern
		fits := func(b *pattern) bool { return naiveTopic(topicWords(b.key), topicWords(key)) }
		check := func() {
			t.Helper()
			var got, want []string
			for _, n := range trie.Match([]byte(key)) {
				for _, b := range n.items {
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
			b := &pattern{key: k}
			all = append(all, b)
			trie.Add(b)
		}
		check()
		for len(all) > 0 {
			i := len(all) / 2
			trie.Remove(all[i])
			all = slices.Delete(all, i, i+1)
			check()
		}
		root := &trie.root
		if len(root.words) > 0 || root.star != nil || root.hash != nil || len(root.items) > 0 {
			t.Fatal("an empty trie has places")
		}
	})
}

// TestTopicManyHashes takes for ever if the ways through a key are tried one
// after the other.
func TestTopicManyHashes(t *testing.T) {
	var trie Trie[*pattern]
	trie.Add(&pattern{key: strings.Repeat("#.*.", 30) + "end"})
	if nodes := trie.Match([]byte(strings.Repeat("a.", 120) + "a")); slices.ContainsFunc(nodes, func(n *Node[*pattern]) bool { return len(n.items) > 0 }) {
		t.Error("it ends in a")
	}
	nodes := trie.Match([]byte(strings.Repeat("a.", 120) + "end"))
	if !slices.ContainsFunc(nodes, func(n *Node[*pattern]) bool { return len(n.items) > 0 }) {
		t.Error("it ends in end")
	}
}
