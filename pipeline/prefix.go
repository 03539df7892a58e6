package pipeline

import (
	"causerie/models/gpt2"
)

// prefixes remembers computed keys and values by the tokens they stand for, so
// that a sequence which starts like an earlier one, or like one that is being
// written, uses its blocks. It is a tree: the children of a node continue its
// tokens. Only leaves may hold less than a whole block.
type prefixes struct {
	root  prefixNode
	clock uint64
	nodes int
}

// prefixNode is one block and the tokens it holds.
type prefixNode struct {
	tokens   []int32
	adapter  *gpt2.Adapter // that the tokens went through
	block    *gpt2.KVBlock
	parent   *prefixNode
	children []*prefixNode
	used     uint64 // when a sequence last used it
}

// find appends the blocks of the longest known prefix of tokens that went
// through the adapter to an empty cache.
func (p *prefixes) find(tokens []int32, adapter *gpt2.Adapter, cache *gpt2.Cache) {
	p.clock++
	for at := &p.root; ; {
		child, n := at.closest(tokens, adapter)
		if n == 0 {
			return
		}
		child.used = p.clock
		cache.Append(child.block, n)
		if n < gpt2.BlockTokens {
			return
		}
		at, tokens = child, tokens[n:]
	}
}

// closest is the child that shares most tokens, and how many. Other adapters'
// children share none.
func (n *prefixNode) closest(tokens []int32, adapter *gpt2.Adapter) (child *prefixNode, shared int) {
	for _, c := range n.children {
		if m := commonPrefix(c.tokens, tokens); m > shared && c.adapter == adapter {
			child, shared = c, m
		}
	}
	return child, shared
}

// insert remembers what a cache holds; tokens are those it was computed from,
// through the adapter.
// Where the tree has a block with the same tokens already, the cache goes over
// to that one.
func (p *prefixes) insert(tokens []int32, adapter *gpt2.Adapter, cache *gpt2.Cache) {
	p.clock++
	at := &p.root
	for i := 0; len(tokens) > 0; i++ {
		n := min(len(tokens), gpt2.BlockTokens)
		child, shared := at.closest(tokens[:n], adapter)
		switch {
		case child != nil && shared == n && n == gpt2.BlockTokens:
			cache.Replace(i, child.block)
		case child != nil && shared == n: // no longer than what is there
		case child != nil && shared == len(child.tokens) && len(child.children) == 0:
			p.replace(child, tokens[:n], cache.Block(i))
		default:
			child = p.add(at, tokens[:n], adapter, cache.Block(i))
		}
		child.used = p.clock
		at, tokens = child, tokens[n:]
	}
}

// add makes a new leaf.
func (p *prefixes) add(parent *prefixNode, tokens []int32, adapter *gpt2.Adapter, block *gpt2.KVBlock) *prefixNode {
	block.Retain(len(tokens))
	n := &prefixNode{parent: parent, adapter: adapter, block: block, tokens: append([]int32(nil), tokens...)}
	parent.children = append(parent.children, n)
	p.nodes++
	return n
}

// replace makes a leaf hold more tokens than before, of which the first are the same.
func (p *prefixes) replace(n *prefixNode, tokens []int32, block *gpt2.KVBlock) {
	block.Retain(len(tokens))
	n.block.Release()
	n.block, n.tokens = block, append(n.tokens[:0], tokens...)
}

// evict forgets the block that was not used for longest, of those that nothing
// continues and no sequence uses. It returns false when there is none.
func (p *prefixes) evict() bool {
	var oldest *prefixNode
	p.root.each(func(n *prefixNode) {
		if len(n.children) == 0 && n.block.Users() == 1 && (oldest == nil || n.used < oldest.used) {
			oldest = n
		}
	})
	if oldest == nil {
		return false
	}
	oldest.block.Release()
	siblings := oldest.parent.children
	for i, s := range siblings {
		if s == oldest {
			siblings[i] = siblings[len(siblings)-1]
			siblings[len(siblings)-1] = nil
			oldest.parent.children = siblings[:len(siblings)-1]
			break
		}
	}
	p.nodes--
	return true
}

// evictable is how many blocks no sequence uses.
func (p *prefixes) evictable() int {
	count := 0
	p.root.each(func(n *prefixNode) {
		if n.block.Users() == 1 {
			count++
		}
	})
	return count
}

// each visits the nodes below n.
func (n *prefixNode) each(f func(*prefixNode)) {
	for _, c := range n.children {
		f(c)
		c.each(f)
	}
}

// commonPrefix is how many ids a and b start with in common.
func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
