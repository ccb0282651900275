package broker

import "zamqp/amqpproto/broker/topic"

// topicType sends a message to the bindings whose key is a pattern that matches its
// routing key. §3.1.3.3.
var topicType = exchangeType{
	newIndex: func(*exchange) bindingIndex { return &topicIndex{} },
	keyed:    true,
	units:    followUnits,
}

// topicIndex is a trie of binding keys.
type topicIndex struct{ trie topic.Trie[*binding] }

func (t *topicIndex) add(b *binding)    { t.trie.Add(b) }
func (t *topicIndex) remove(b *binding) { t.trie.Remove(b) }

func (t *topicIndex) match(key []byte, to follower) {
	for _, n := range t.trie.Match(key) {
		if list := n.Items(); len(list) > 0 {
			to.follow(list)
		}
	}
}

// Key and Place are for the trie.
func (b *binding) Key() string { return b.key }
func (b *binding) Place() *int { return &b.inIndex }
