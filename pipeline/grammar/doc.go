// Package grammar holds a model to a form: JSON of any kind, or JSON of a
// schema. It says before each token which tokens may come next.
//
//	g, err := grammar.Schema(schema)               // or grammar.JSONObject()
//	vocabulary := grammar.NewVocabulary(tokens)    // once for a tokenizer
//	automaton := grammar.NewAutomaton(g, vocabulary)
//	m := automaton.Matcher()                       // one for each reply
//	for !m.Done(left) {
//		mask, err := m.Allowed(left)               // a bit for each token
//		…                                          // sample among them
//		text, ok := m.Accept(id)
//	}
//
// # From a schema to an automaton
//
//	value.go       the schema is read with the order of its keys
//	schema.go      keywords become rules; what is not supported is refused by name
//	choice.go, object.go, array.go, text.go, pattern.go, formats.go, number.go, decimal.go
//	               what the rules of each kind are
//	node.go        a rule is a small nondeterministic automaton over bytes, which may call rules
//	shortest.go    the shortest text that completes a rule from each of its nodes, and
//	tokens.go      the tokens that are enough for it
//
// What is written is JSON without white space but for one space after a colon
// or a comma, with the properties of an object in the order of the schema. That
// is less than a schema allows, so every text of the grammar is valid, and not
// every valid text is one of the grammar. A property that may be left out may
// be skipped, and properties that the schema does not name come last.
//
// # From an automaton to tokens
//
// Rules that call rules need a stack. An [Automaton] remembers every
// combination of node and stack it has met (an item) and every set of items (a
// state), so that it becomes a deterministic automaton as it is used; when it
// has met too many it starts again. The tokens that may follow an item are found
// by walking a trie of the vocabulary's bytes beside it, once, and kept as bits.
// Most of a vocabulary is characters that may stand in a JSON string, and needs
// no walk there (vocabulary.go).
//
// Tokens are byte strings: they may begin in one rule and end in another, and
// hold half a character. The automaton goes byte by byte, so nothing else needs
// to know.
//
// # Ending in time
//
// Every item knows how many tokens complete it: the fewest that spell the
// shortest completion of each rule on its stack. As long as the tokens that
// are left are enough for that, only tokens after which they still are enough
// may be picked. So a reply is whole whenever its length limit allows it, and
// a model that would never close a string has to. Nesting is bounded
// ([MaxDepth]) in the same way.
package grammar
