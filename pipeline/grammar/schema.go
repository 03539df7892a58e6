package grammar

import (
	"fmt"
	"slices"
)

// Grammar is a form of text. It is immutable.
type Grammar struct {
	key   string
	nodes []node
	start int32
	shortest
	classes [256]byte // bytes that no edge tells apart
	samples []byte    // one of each class
}

// Key tells grammars apart: those with the same key are the same.
func (g *Grammar) Key() string { return g.key }

// SchemaError is a schema that cannot be used.
type SchemaError struct {
	Path    string // where, as a JSON pointer: "#/properties/name"
	Problem string
}

// Error names the place and the problem.
func (e *SchemaError) Error() string { return fmt.Sprintf("in %s: %s", e.Path, e.Problem) }

// JSONObject is the form of every JSON object.
func JSONObject() *Grammar {
	g, err := Schema([]byte(`{"type":"object"}`))
	if err != nil {
		panic(err) // it does not depend on anything
	}
	return g
}

// Schema makes a grammar of a JSON Schema. The error is a [*SchemaError].
//
// Supported are the types with properties, required, additionalProperties;
// items, minItems, maxItems; minLength, maxLength, pattern, format; minimum,
// maximum, exclusiveMinimum, exclusiveMaximum; and enum, const, anyOf, $ref
// within the schema, $defs, and allOf of one schema. Two things are narrower
// than in JSON Schema: where additionalProperties is left out beside
// properties, there are none, and format is held to.
func Schema(schema []byte) (*Grammar, error) {
	root, err := parse(schema)
	if err != nil {
		return nil, &SchemaError{"#", "it is not valid JSON: " + err.Error()}
	}
	c := &compiler{root: root, rules: map[*value]int32{}, places: map[*value]string{}}
	start, err := c.rule(root, "#")
	if err != nil {
		return nil, err
	}
	for len(c.todo) > 0 && !c.full { // rules are built one after the other, not one in the other
		next := c.todo[0]
		c.todo = c.todo[1:]
		if err := c.fill(next); err != nil {
			return nil, err
		}
	}
	if c.full {
		return nil, &SchemaError{"#", "it is too large: lengths, counts and enumerations add up to more than this server can keep"}
	}
	g := &Grammar{key: root.spell(), nodes: c.nodes, start: start}
	g.shortest = measure(g.nodes)
	if g.lengths[start] == noEnd || g.heights[start] > MaxDepth {
		return nil, &SchemaError{"#", "no finite value satisfies it"}
	}
	g.classify()
	return g, nil
}

// compiler makes rules of schemas.
type compiler struct {
	builder
	root   *value
	rules  map[*value]int32  // of the schemas met so far
	places map[*value]string // where they were met
	todo   []*value

	character, anything int32 // rules that schemas share, once there are; node 0 is never one
}

// rule is that of a schema; it will be built if it is new.
func (c *compiler) rule(v *value, path string) (int32, error) {
	v, path, err := c.follow(v, path)
	if err != nil {
		return 0, err
	}
	if r, ok := c.rules[v]; ok {
		return r, nil
	}
	r := c.node()
	c.rules[v], c.places[v] = r, path
	c.todo = append(c.todo, v)
	return r, nil
}

// Keywords by what they speak of.
var (
	notes = []string{
		"title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly",
		"$schema", "$defs", "definitions", "discriminator",
	}
	keywords = map[kind][]string{
		object: {"properties", "required", "additionalProperties"},
		array:  {"items", "minItems", "maxItems"},
		text:   {"minLength", "maxLength", "pattern", "format"},
		number: {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
	}
	general = []string{"type", "enum", "const", "anyOf", "allOf", "$ref", "$id"}
)

// known refuses keywords that are not supported.
func known(v *value, path string) error {
	for _, m := range v.members {
		ok := slices.Contains(notes, m.key) || slices.Contains(general, m.key)
		for _, list := range keywords {
			ok = ok || slices.Contains(list, m.key)
		}
		if !ok {
			hint := ""
			if m.key == "oneOf" {
				hint = "; use anyOf"
			}
			return &SchemaError{path, fmt.Sprintf("%q is not supported%s", m.key, hint)}
		}
	}
	return nil
}

// alone refuses what would have to hold besides the given keyword.
func (c *compiler) alone(v *value, path, keyword string, also ...string) error {
	for _, m := range v.members {
		if m.key != keyword && !slices.Contains(notes, m.key) && !slices.Contains(also, m.key) && (m.key != "$id" || v != c.root) {
			return &SchemaError{path, fmt.Sprintf("%q is not supported beside %q", m.key, keyword)}
		}
	}
	return nil
}

// fill builds the rule of a schema.
func (c *compiler) fill(v *value) error {
	from, path := c.rules[v], c.places[v]
	to := c.final()
	switch {
	case v.kind == boolean && v.truth:
		c.call(from, c.any(), to)
		return nil
	case v.kind == boolean:
		return nil // nothing is valid
	case v.kind != object:
		return &SchemaError{path, fmt.Sprintf("a schema must be an object, true or false, not %s", v.describe())}
	}
	if err := known(v, path); err != nil {
		return err
	}
	if id := v.get("$id"); id != nil && v != c.root {
		return &SchemaError{path, `"$id" is only supported in the whole schema`}
	}
	switch {
	case v.get("enum") != nil || v.get("const") != nil:
		return c.enumeration(v, path, from, to)
	case v.get("anyOf") != nil:
		return c.alternatives(v, path, "anyOf", from, to)
	case v.get("allOf") != nil:
		if all := v.get("allOf"); all.kind == array && len(all.items) > 1 {
			return &SchemaError{path, `"allOf" is only supported with one schema`}
		}
		return c.alternatives(v, path, "allOf", from, to)
	}
	types, err := typesOf(v, path)
	if err != nil {
		return err
	}
	if types == nil {
		c.call(from, c.any(), to)
	}
	for _, t := range types {
		if err := c.typed(v, path, t, from, to); err != nil {
			return err
		}
	}
	return nil
}

func (v *value) describe() string {
	switch v.kind {
	case null:
		return "null"
	case array, object:
		return "an " + string(v.kind)
	}
	return "a " + string(v.kind)
}

// typed adds the values of one type.
func (c *compiler) typed(v *value, path, t string, from, to int32) error {
	switch t {
	case "object":
		return c.object(v, path, from, to)
	case "array":
		return c.array(v, path, from, to)
	case "string":
		return c.text(v, path, from, to)
	case "number", "integer":
		return c.number(v, path, t == "integer", from, to)
	case "boolean":
		c.literals(from, []string{"true", "false"}, to)
	default:
		c.literals(from, []string{"null"}, to)
	}
	return nil
}

// any is the rule of every JSON value.
func (c *compiler) any() int32 {
	if c.anything != 0 {
		return c.anything
	}
	c.anything = c.node()
	from, to := c.anything, c.final()
	c.literals(from, []string{"true", "false", "null"}, to)
	c.decimals(from, to, maxFraction, bounds{}, true)
	c.free(from, to)
	c.anyObject(from, to)
	c.list(from, to, c.anything, 0, -1)
	return c.anything
}
