// Package topic finds the patterns that a routing key fits, as topic exchanges do.
package topic

import (
	"bytes"
	"strings"
)

// Item is what is found: something with a pattern.
type Item interface {
	Key() string // the pattern
	Place() *int // room for the trie to note where the item is
}

// Trie is items by their patterns.
type Trie[T Item] struct {
	root      Node[T]
	now, next []*Node[T] // scratch of Match
	marks     uint64
}

// Add adds an item.
func (t *Trie[T]) Add(item T) { t.root.add(item) }

// Remove takes an item out that was added.
func (t *Trie[T]) Remove(item T) { t.root.remove(item) }

// Node is a place in a trie of keys, word by word:
// words are parted by dots, * stands for one word, # for any number of them. An
// empty key has no words.
type Node[T Item] struct {
	parent *Node[T]
	word   string // that leads here from parent
	words  map[string]*Node[T]
	star   *Node[T]
	hash   *Node[T]
	items  []T
	mark   uint64 // Trie.marks
}

// Items is what is here: all of it has the same key. It is the node's.
func (n *Node[T]) Items() []T { return n.items }

// add puts an item where its key leads.
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

// remove takes an item away, and the places that only it needed.
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

// Match returns the places whose items fit. They are the trie's until the next call.
//
// It goes through the key once, with the set of all places that the words so far
// lead to; trying one way after the other would take exponential time for keys with
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

// enter adds a place, and those that # lets enter without a word.
func (t *Trie[T]) enter(set []*Node[T], n *Node[T]) []*Node[T] {
	for ; n != nil && n.mark != t.marks; n = n.hash {
		n.mark = t.marks
		set = append(set, n)
	}
	return set
}
