package broker

import (
	"bytes"
	"strings"
)

// topicType sends a message to the bindings whose key is a pattern that its routing
// key fits. §3.1.3.3.
var topicType = exchangeType{
	newIndex: func(*exchange) bindingIndex { return &topicIndex{} },
	keyed:    true,
	units:    followUnits,
}

// topicIndex is a trie of binding keys.
type topicIndex struct {
	root    topicNode
	matcher topicMatcher
}

func (t *topicIndex) add(b *binding)    { t.root.add(b) }
func (t *topicIndex) remove(b *binding) { t.root.remove(b) }

func (t *topicIndex) match(key []byte, to follower) {
	for _, n := range t.matcher.match(&t.root, key) {
		if len(n.bindings) > 0 {
			to.follow(n.bindings)
		}
	}
}

// topicNode is a place in a topic exchange's trie of binding keys, word by word:
// words are parted by dots, * stands for one word, # for any number of them. An
// empty key has no words.
type topicNode struct {
	parent   *topicNode
	word     string // that leads here from parent
	words    map[string]*topicNode
	star     *topicNode
	hash     *topicNode
	bindings []*binding
	mark     uint64 // topicMatcher's
}

// add puts a binding where its key leads.
func (n *topicNode) add(b *binding) {
	if b.key != "" {
		for word := range strings.SplitSeq(b.key, ".") {
			n = n.child(word)
		}
	}
	b.inIndex = len(n.bindings)
	n.bindings = append(n.bindings, b)
}

func (n *topicNode) child(word string) *topicNode {
	var c *topicNode
	switch word {
	case "*":
		c = n.star
	case "#":
		c = n.hash
	default:
		c = n.words[word]
	}
	if c != nil {
		return c
	}
	c = &topicNode{parent: n, word: word}
	switch word {
	case "*":
		n.star = c
	case "#":
		n.hash = c
	default:
		if n.words == nil {
			n.words = map[string]*topicNode{}
		}
		n.words[word] = c
	}
	return c
}

// remove takes a binding away, and the places that only it needed.
func (n *topicNode) remove(b *binding) {
	if b.key != "" {
		for word := range strings.SplitSeq(b.key, ".") {
			n = n.child(word)
		}
	}
	n.bindings = without(n.bindings, b)
	for n.parent != nil && len(n.bindings) == 0 && len(n.words) == 0 && n.star == nil && n.hash == nil {
		switch n.word {
		case "*":
			n.parent.star = nil
		case "#":
			n.parent.hash = nil
		default:
			delete(n.parent.words, n.word)
		}
		n = n.parent
	}
}

// topicMatcher finds the bindings that a routing key fits. It goes through the
// key once, with the set of all places that the words so far lead to; trying one
// way after the other would take exponential time for keys with many #.
type topicMatcher struct {
	now, next []*topicNode
	marks     uint64
}

// match returns the places whose bindings fit. They are the matcher's until the
// next call.
func (t *topicMatcher) match(root *topicNode, key []byte) []*topicNode {
	t.marks++
	t.next = t.enter(t.next[:0], root)
	for more := len(key) > 0; more; {
		var word []byte
		word, key, more = bytes.Cut(key, []byte("."))
		t.now, t.next = t.next, t.now[:0]
		t.marks++
		for _, n := range t.now {
			if n.parent != nil && n.parent.hash == n {
				t.next = t.enter(t.next, n)
			}
			if c := n.words[string(word)]; c != nil {
				t.next = t.enter(t.next, c)
			}
			if n.star != nil {
				t.next = t.enter(t.next, n.star)
			}
		}
	}
	return t.next
}

// enter adds a place, and those that # lets enter without a word.
func (t *topicMatcher) enter(set []*topicNode, n *topicNode) []*topicNode {
	for ; n != nil && n.mark != t.marks; n = n.hash {
		n.mark = t.marks
		set = append(set, n)
	}
	return set
}
