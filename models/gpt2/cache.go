package gpt2

import "causerie/models/ops"

// Cache is what the model remembers of one sequence: keys and values of every
// layer, in plain memory. It belongs to one goroutine at a time.
type Cache struct {
	kv  *ops.KV
	len int
	cap int
}

// NewCache returns an empty cache with room for the model's whole context.
func (m *Model) NewCache() *Cache {
	cfg := m.Config
	return &Cache{kv: ops.NewKV(cfg.Layers, cfg.Heads, cfg.HeadSize(), cfg.Positions), cap: cfg.Positions}
}

// Len is the number of tokens remembered.
func (c *Cache) Len() int { return c.len }

// Cap is the number of tokens there is room for: the model's context.
func (c *Cache) Cap() int { return c.cap }

// Truncate forgets the tokens from position n on. A larger n changes nothing.
func (c *Cache) Truncate(n int) { c.len = min(c.len, max(n, 0)) }

// Reset forgets everything.
func (c *Cache) Reset() { c.len = 0 }

// Bytes is the memory of a full cache.
func (c *Cache) Bytes() int64 { return c.kv.Bytes() }
