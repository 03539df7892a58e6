package gpt2

import "causerie/models/ops"

// Cache is what the model remembers of one sequence: keys and values of every
// layer, in plain memory. It belongs to one goroutine at a time.
type Cache struct {
	from   *KVMemory
	blocks []*KVBlock
	kv     []*ops.KVBlock // of blocks, for the operators
	len    int
}

// NewCache returns an empty cache with room for the model's whole context, in
// memory of its own.
func (m *Model) NewCache() *Cache { return m.NewKVMemory(0).NewCache() }

// NewCache returns an empty cache that takes its memory here.
func (b *KVMemory) NewCache() *Cache { return &Cache{from: b} }

// Len is the number of tokens remembered.
func (c *Cache) Len() int { return c.len }

// Cap is the number of tokens there can be: the model's context.
func (c *Cache) Cap() int { return c.from.positions }

// Bytes is the memory the cache uses, shared blocks included.
func (c *Cache) Bytes() int64 { return int64(len(c.blocks)) * c.from.BlockBytes() }

// Block returns block i, which holds the tokens from i*BlockTokens on.
func (c *Cache) Block(i int) *KVBlock { return c.blocks[i] }

// Truncate forgets the tokens from position n on, and gives back the blocks
// that hold none of the others. A larger n changes nothing but the latter.
func (c *Cache) Truncate(n int) {
	c.len = min(c.len, max(n, 0))
	keep := blocksFor(c.len)
	for i := len(c.blocks) - 1; i >= keep; i-- {
		c.drop(i)
	}
	c.blocks, c.kv = c.blocks[:keep], c.kv[:keep]
}

// Reset forgets everything and gives all memory back.
func (c *Cache) Reset() { c.Truncate(0) }

// grow notes that n more tokens are remembered, which went through an adapter.
func (c *Cache) grow(n int, a *Adapter) {
	for i := c.len / BlockTokens; i < blocksFor(c.len+n); i++ {
		c.blocks[i].adapter = a
	}
	c.Advance(n)
}

// adapter is what the tokens remembered went through.
func (c *Cache) adapter() *Adapter { return c.blocks[blocksFor(c.len)-1].adapter }

// drop ends the use of block i.
func (c *Cache) drop(i int) {
	b := c.blocks[i]
	if b.owner == c {
		b.owner = nil
	}
	b.Release()
}

// Append continues the cache, which must end with a whole block, with the
// first n tokens of another cache's block.
func (c *Cache) Append(b *KVBlock, n int) {
	b.Retain(n)
	c.blocks, c.kv = append(c.blocks, b), append(c.kv, b.kv)
	c.len += n
}

// Replace puts a block with the same first tokens in the place of block i.
func (c *Cache) Replace(i int, b *KVBlock) {
	if b == c.blocks[i] {
		return
	}
	b.Retain(min(BlockTokens, c.len-i*BlockTokens))
	c.drop(i)
	c.blocks[i], c.kv[i] = b, b.kv
}

// Reserve makes room for n more tokens, or returns ErrNoMemory. A last block
// that others use as well is copied if its next rows are not this cache's to
// write.
func (c *Cache) Reserve(n int) error {
	if rows := c.len % BlockTokens; n > 0 && rows > 0 && !c.own(c.len/BlockTokens, rows) {
		return ErrNoMemory
	}
	for len(c.blocks) < blocksFor(c.len+n) {
		b := c.from.take()
		if b == nil {
			return ErrNoMemory
		}
		b.owner = c
		c.blocks, c.kv = append(c.blocks, b), append(c.kv, b.kv)
	}
	return nil
}

// Advance counts n more tokens, whose room was reserved, as remembered.
func (c *Cache) Advance(n int) { c.len += n }

// own makes the rows of block i from the given one on this cache's to write.
func (c *Cache) own(i, row int) bool {
	b := c.blocks[i]
	if b.users == 1 {
		b.rows = 0 // nobody else is left
	}
	if row >= b.rows && (b.owner == nil || b.owner == c) {
		b.owner = c
		return true
	}
	own := c.from.take()
	if own == nil {
		return false
	}
	own.owner = c
	own.kv.CopyRows(b.kv, row)
	own.adapter = b.adapter
	c.drop(i)
	c.blocks[i], c.kv[i] = own, own.kv
	return true
}

// blocksFor is how many blocks hold n tokens.
func blocksFor(n int) int { return (n + BlockTokens - 1) / BlockTokens }
