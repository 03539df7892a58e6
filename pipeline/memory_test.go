package pipeline

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
)

// together starts requests so that the engine sees them all at once.
func together(t *testing.T, e *Engine, g *gate, requests []GenerateRequest) []Reply {
	t.Helper()
	g.set(true)
	replies := make([]Reply, len(requests))
	var group sync.WaitGroup
	for i, req := range requests {
		group.Go(func() {
			var err error
			if replies[i], err = e.Generate(t.Context(), req, nil); err != nil {
				t.Error(err)
			}
		})
		waitFor(t, e, i+1)
	}
	g.set(false)
	group.Wait()
	return replies
}

// When the replies being written outgrow the memory, the newest wait and start
// again: later, but with the same tokens.
func TestPreemption(t *testing.T) {
	const context = 3 * gpt2.BlockTokens
	requests := make([]GenerateRequest, 6)
	for i := range requests {
		requests[i] = GenerateRequest{IDs: []int32{int32(i), 7, 9}, Options: Options{MaxTokens: context - 5, IgnoreEnd: true, Seed: seed(uint64(i))}}
		requests[i].Options.Temperature = 1
	}
	var want []Reply
	alone := engineOf(t, randomModel(t, context), EngineOptions{})
	for _, req := range requests {
		reply, err := alone.Generate(t.Context(), req, nil)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, reply)
	}
	m := randomModel(t, context)
	g := newGate()
	e := engineOf(t, m, EngineOptions{KVBytes: 7 * m.Net.NewKVMemory(0).BlockBytes(), before: g.pass})
	got := together(t, e, g, requests)
	if diff := cmp.Diff(want, got, sameReply); diff != "" {
		t.Errorf("replies (-alone +preempted):\n%s", diff)
	}
	s := e.Stats()
	if s.Preemptions == 0 || s.KVUsed > s.KVBytes {
		t.Errorf("nobody had to wait, or the budget was passed: %+v", s)
	}
}

func TestKVBytes(t *testing.T) {
	const context = 3 * gpt2.BlockTokens
	m := randomModel(t, context)
	block := m.Net.NewKVMemory(0).BlockBytes()
	if _, err := NewEngine(m, EngineOptions{KVBytes: 4*block - 1}); err == nil || !strings.Contains(err.Error(), "kv_bytes") {
		t.Errorf("memory for less than a context and a block: %v", err)
	}
	e := engineOf(t, m, EngineOptions{KVBytes: 4 * block})
	reply, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1}, Options: Options{MaxTokens: context - 1, IgnoreEnd: true}}, nil)
	if err != nil || len(reply.IDs) != context-1 {
		t.Errorf("the longest reply in the least memory: %d tokens, %v", len(reply.IDs), err)
	}
}

// Without a stated budget, an idle engine keeps a part of what a busy one may use.
func TestIdleEnginesKeepLess(t *testing.T) {
	const context = 8 * gpt2.BlockTokens
	m := randomModel(t, context)
	block := m.Net.NewKVMemory(0).BlockBytes()
	e := engineOf(t, m, EngineOptions{MaxSequences: int(leastKVBytes/block)/2 + 1}) // four times the least
	for i := range int(leastKVBytes/block)/7 + 20 {
		ids := make([]int32, context-1)
		ids[0], ids[1] = int32(i%250), int32(i/250)
		if _, err := e.Generate(t.Context(), GenerateRequest{IDs: ids, Options: Options{MaxTokens: 1, IgnoreEnd: true}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	s := idleStats(e)
	if s.KVBytes < 4*leastKVBytes || s.KVCached > s.KVBytes/4 || s.KVCached < leastKVBytes*3/4 || s.KVMade > s.KVBytes/4+9*block {
		t.Errorf("%+v with blocks of %d", s, block)
	}
}

// Requests with the same start share its computation, one after the other and
// at the same time, and so do several replies to one prompt.
func TestPrefixesAreShared(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 512), EngineOptions{before: g.pass})
	system := strings.Repeat("You are a patient teacher. ", 6) // 162 tokens and a marker or two
	ask := func(question string) ChatRequest {
		return ChatRequest{Messages: []dialogue.Turn{dialogue.System(system), dialogue.User(question)}, Options: Options{MaxTokens: 4}}
	}
	first, err := e.Chat(t.Context(), ask("why?"), nil)
	if err != nil || first.CachedTokens != 0 {
		t.Fatalf("the first request found %d tokens, %v", first.CachedTokens, err)
	}
	same, err := e.Chat(t.Context(), ask("why?"), nil)
	if err != nil || same.CachedTokens != same.PromptTokens-1 {
		t.Errorf("the same request again found %d of %d tokens, %v", same.CachedTokens, same.PromptTokens, err)
	}
	other, err := e.Chat(t.Context(), ask("how?"), nil)
	if err != nil || other.CachedTokens < len(system) || other.CachedTokens >= other.PromptTokens-1 {
		t.Errorf("another question found %d of %d tokens, %v", other.CachedTokens, other.PromptTokens, err)
	}

	fresh := make([]GenerateRequest, 4)
	for i := range fresh {
		ids := make([]int32, 300)
		for j := range ids {
			ids[j] = int32(j * j % 251)
		}
		fresh[i] = GenerateRequest{IDs: append(ids, int32(i)), Options: Options{MaxTokens: 4}}
	}
	before := e.Stats()
	for i, reply := range together(t, e, g, fresh) {
		if want := 300; i > 0 && reply.CachedTokens != want {
			t.Errorf("request %d of those at once found %d tokens, want %d", i, reply.CachedTokens, want)
		}
	}
	replies, err := e.ChatN(t.Context(), ask("who was it that you saw there?"), 5, nil)
	if err != nil || len(replies) != 5 {
		t.Fatal(replies, err)
	}
	for i, reply := range replies[1:] {
		if reply.CachedTokens != reply.PromptTokens-1 {
			t.Errorf("reply %d found %d of %d tokens", i+1, reply.CachedTokens, reply.PromptTokens)
		}
	}
	if s := e.Stats(); s.PromptTokens-before.PromptTokens != 4*301+5*int64(replies[0].PromptTokens) {
		t.Errorf("%d prompt tokens were counted", s.PromptTokens-before.PromptTokens)
	}
}

// A second turn computes what is new in it, to the token.
func TestSecondTurnComputesWhatIsNew(t *testing.T) {
	e := engineOf(t, randomModel(t, 400), EngineOptions{})
	turns := []dialogue.Turn{dialogue.User("Tell me a long story about rain.")}
	o := Options{MaxTokens: 50, IgnoreEnd: true, Raw: true}
	first, err := e.Generate(t.Context(), GenerateRequest{Text: turns[0].Text, Options: o}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := slices.Concat(e.Model().Tokenizer.Encode(nil, turns[0].Text), first.IDs, []int32{1, 2, 3})
	second, err := e.Generate(t.Context(), GenerateRequest{IDs: ids, Options: o}, nil)
	if err != nil || second.CachedTokens != len(ids)-4 { // the reply's last token was never computed
		t.Errorf("the second turn of %d tokens found %d, %v", len(ids), second.CachedTokens, err)
	}
}

// fill makes a cache hold n tokens without computing them.
func fill(t *testing.T, m *gpt2.KVMemory, p *prefixes, tokens []int32) *gpt2.Cache {
	t.Helper()
	c := m.NewCache()
	p.find(tokens, nil, c)
	if err := c.Reserve(len(tokens) - c.Len()); err != nil {
		t.Fatal(err)
	}
	c.Advance(len(tokens) - c.Len())
	p.insert(tokens, nil, c)
	return c
}

func TestPrefixTree(t *testing.T) {
	memory := randomModel(t, 512).Net.NewKVMemory(0)
	ids := func(n int, tail ...int32) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32(i)
		}
		return append(out, tail...)
	}
	p := &prefixes{}
	find := func(tokens []int32) int {
		c := memory.NewCache()
		defer c.Reset()
		p.find(tokens, nil, c)
		return c.Len()
	}
	const more = gpt2.BlockTokens - 64 // so that two blocks are needed
	a := fill(t, memory, p, ids(100+more))
	if p.nodes != 2 || find(ids(100+more)) != 100+more || find(ids(200+more)) != 100+more || find(ids(80+more, 7)) != 80+more || find([]int32{5}) != 0 {
		t.Errorf("after 100 tokens: %d nodes", p.nodes)
	}
	b := fill(t, memory, p, ids(80+more, 900, 901)) // shares a block and copies part of another
	if p.nodes != 3 || a.Block(0) != b.Block(0) || a.Block(1) == b.Block(1) {
		t.Errorf("after a second branch: %d nodes", p.nodes)
	}
	c := fill(t, memory, p, ids(120+more)) // copies a's second block, and its own takes the place in the tree
	if p.nodes != 3 || c.Block(1) == a.Block(1) || find(ids(120+more)) != 120+more {
		t.Errorf("after a longer branch: %d nodes, %d found", p.nodes, find(ids(120+more)))
	}
	if p.evict() {
		t.Error("a block in use was forgotten")
	}
	a.Reset()
	b.Reset()
	c.Reset()
	if p.evictable() != 3 || memory.InUse() != 3 {
		t.Errorf("%d blocks can be forgotten, %d are in use; want 3 and 3", p.evictable(), memory.InUse())
	}
	if find(ids(80+more, 900)) != 81+more { // used last
		t.Error("the second branch is gone")
	}
	if !p.evict() || find(ids(120+more)) != 80+more || find(ids(80+more, 900, 901)) != 82+more {
		t.Error("not the least recently used leaf was forgotten")
	}
	for p.evict() {
	}
	if p.nodes != 0 || memory.InUse() != 0 {
		t.Errorf("%d nodes, %d blocks in use at the end", p.nodes, memory.InUse())
	}
}
