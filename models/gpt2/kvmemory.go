package gpt2

import (
	"errors"

	"causerie/models/kernels"
	"causerie/models/ops"
)

// ErrNoMemory says that a cache cannot grow within the budget of its KVMemory.
var ErrNoMemory = errors.New("the memory for keys and values is used up")

// BlockTokens is how many tokens a KVBlock holds.
const BlockTokens = ops.BlockTokens

// KVMemory is memory for the keys and values of many sequences, in blocks of
// BlockTokens tokens. Blocks are allocated when they are first needed and
// reused from then on: the first touch of memory is slow. Sequences that start
// alike may share blocks.
//
// The memory, the caches over them and the Runner that fills them belong to one
// goroutine at a time.
type KVMemory struct {
	shape     ops.KVShape
	positions int
	limit     int // blocks that may be made; 0: any number
	made      int
	free      []*KVBlock
}

// NewKVMemory returns memory for caches of the model that together take at most
// the given number of bytes; 0 means any number.
func (m *Model) NewKVMemory(bytes int64) *KVMemory {
	b := &KVMemory{shape: m.kvShape(), positions: m.Config.Positions}
	if bytes > 0 {
		b.limit = int(max(1, bytes/b.BlockBytes()))
	}
	return b
}

func (m *Model) kvShape() ops.KVShape {
	return ops.KVShape{Layers: m.Config.Layers, Heads: m.Config.Heads, Size: m.Config.HeadSize(), Half: m.halfKV()}
}

// halfKV tells whether keys and values are kept in 16 bits: they are where the
// weights are not float32 either.
func (m *Model) halfKV() bool { return m.frozen && m.DType() != kernels.Float32 }

// BlockBytes is the memory of one block.
func (b *KVMemory) BlockBytes() int64 { return b.shape.BlockBytes() }

// Limit is how many blocks there may be; 0: any number.
func (b *KVMemory) Limit() int { return b.limit }

// Made is how many blocks have been allocated, InUse how many of them some
// cache or other user holds.
func (b *KVMemory) Made() int { return b.made }

// InUse is how many blocks are held by somebody.
func (b *KVMemory) InUse() int { return b.made - len(b.free) }

// Available is how many more blocks may be taken; -1: any number.
func (b *KVMemory) Available() int {
	if b.limit == 0 {
		return -1
	}
	return b.limit - b.InUse()
}

// take returns a block with one user, or nil when the budget is used up.
func (b *KVMemory) take() *KVBlock {
	if n := len(b.free); n > 0 {
		block := b.free[n-1]
		b.free = b.free[:n-1]
		block.users = 1
		return block
	}
	if b.limit > 0 && b.made >= b.limit {
		return nil
	}
	b.made++
	return &KVBlock{kv: b.shape.NewBlock(), from: b, users: 1}
}

// KVBlock holds the keys and values of BlockTokens consecutive tokens. Several
// may use it at once: its first rows, which they rely on, are never written
// again; one cache, its owner, may be writing the rows behind those.
type KVBlock struct {
	kv    *ops.KVBlock
	from  *KVMemory
	users int
	rows  int    // that somebody besides the owner relies on
	owner *Cache // may write behind rows; nil when nobody does

	adapter *Adapter // that its tokens went through
}

// Retain makes the caller a user of the block that relies on its first rows.
func (b *KVBlock) Retain(rows int) {
	b.users++
	b.rows = max(b.rows, rows)
}

// Release ends one use. The block of the last user becomes free.
func (b *KVBlock) Release() {
	b.users--
	if b.users == 0 {
		b.rows, b.owner = 0, nil
		b.from.free = append(b.from.free, b)
	}
}

// Users is how many use the block.
func (b *KVBlock) Users() int { return b.users }
