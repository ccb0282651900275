// Package topic finds the patterns that match a routing key, as topic exchanges do.
package topic

import (
	"bytes"
	"strings"
)

// Item is something with a pattern.
type Item interface {
	Key() string // the pattern
	Place() *int // room in which the trie notes where the item is
}

// Trie finds items by their patterns.
type Trie[T Item] struct {
	root      Node[T]
	now, next []*Node[T] // scratch memory of Match
	marks     uint64
}

// Add adds an item.
func (t *Trie[T]) Add(item T) { t.root.add(item) }

// Remove removes an item that was added.
func (t *Trie[T]) Remove(item T) { t.root.remove(item) }

// Node is a place in a trie of keys, word by word. Dots separate words; * stands
// for one word, # for any number of them. An empty key has no words.
type Node[T Item] struct {
	parent *Node[T]
	word   string // the word that leads here from parent
	words  map[string]*Node[T]
	star   *Node[T]
	hash   *Node[T]
	items  []T
	mark   uint64 // the mark of Trie.marks that visited it last
}

// Items returns the items of this node, which all have the same key. The slice
// belongs to the node.
func (n *Node[T]) Items() []T { return n.items }

// add puts an item at the node of its key.
func (n *Node[T]) add(item T) {
	if key := item.Key(); key != "" {
		for word := range strings.SplitSeq(key, ".") {
			n = n.child(word)
		}
	}
	*item.Place() = len(n.items)
	n.items = append(n.items, item)
}

func (n *Node[T]) child(word string) *Node[T] {
	var c *Node[T]
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
	c = &Node[T]{parent: n, word: word}
	switch word {
	case "*":
		n.star = c
	case "#":
		n.hash = c
	default:
		if n.words == nil {
			n.words = map[string]*Node[T]{}
		}
		n.words[word] = c
	}
	return c
}

// remove takes an item away, and the nodes that only it needed.
func (n *Node[T]) remove(item T) {
	if key := item.Key(); key != "" {
		for word := range strings.SplitSeq(key, ".") {
			n = n.child(word)
		}
	}
	last := len(n.items) - 1
	i := *item.Place()
	n.items[i] = n.items[last]
	*n.items[i].Place() = i
	var none T
	n.items[last] = none
	n.items = n.items[:last]
	for n.parent != nil && len(n.items) == 0 && len(n.words) == 0 && n.star == nil && n.hash == nil {
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

// Match returns the nodes whose items match. The slice belongs to the trie and is
// valid until the next call.
//
// It goes through the key once, with the set of all nodes that the words so far
// lead to. Trying one way after the other would take exponential time for keys with
// many #.
func (t *Trie[T]) Match(key []byte) []*Node[T] {
	t.marks++
	t.next = t.enter(t.next[:0], &t.root)
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

// enter adds a node, and the nodes that # reaches from it with zero words.
func (t *Trie[T]) enter(set []*Node[T], n *Node[T]) []*Node[T] {
	for ; n != nil && n.mark != t.marks; n = n.hash {
		n.mark = t.marks
		set = append(set, n)
	}
	return set
}
