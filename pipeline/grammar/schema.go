package grammar

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// follow goes where references lead.
func (c *compiler) follow(v *value, path string) (*value, string, error) {
	for steps := 0; ; steps++ {
		ref := v.get("$ref")
		if ref == nil {
			return v, path, nil
		}
		if steps > maxSchemaDepth {
			return nil, "", &SchemaError{path, "$ref leads in a circle"}
		}
		if ref.kind != text {
			return nil, "", &SchemaError{path + "/$ref", "it must be a string"}
		}
		if err := c.alone(v, path, "$ref"); err != nil {
			return nil, "", err
		}
		target, err := c.resolve(ref.text)
		if err != nil {
			return nil, "", &SchemaError{path + "/$ref", err.Error()}
		}
		v, path = target, ref.text
	}
}

// resolve finds what a JSON pointer in the schema points at.
func (c *compiler) resolve(ref string) (*value, error) {
	rest, ok := strings.CutPrefix(ref, "#")
	if !ok || rest != "" && rest[0] != '/' {
		return nil, fmt.Errorf("%q does not point into the schema (#/$defs/…)", ref)
	}
	v := c.root
	for step := range strings.SplitSeq(rest, "/") {
		if rest == "" || v == c.root && step == "" {
			continue
		}
		if s, err := url.PathUnescape(step); err == nil {
			step = s
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		next := v.get(step)
		if i, err := strconv.Atoi(step); v.kind == array && err == nil && i >= 0 && i < len(v.items) {
			next = v.items[i]
		}
		if next == nil {
			return nil, fmt.Errorf("%q points at nothing", ref)
		}
		v = next
	}
	return v, nil
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

// typesOf are the types that a schema allows, nil for all. Where it does not say, the
// keywords do that make sense for one type only.
func typesOf(v *value, path string) ([]string, error) {
	t := v.get("type")
	if t == nil {
		var types []string
		for _, k := range []kind{object, array, text, number} {
			if slices.ContainsFunc(v.members, func(m member) bool { return slices.Contains(keywords[k], m.key) }) {
				types = append(types, string(k))
			}
		}
		if len(types) > 1 {
			return nil, &SchemaError{path, `"type" is missing`}
		}
		return types, nil
	}
	list := []*value{t}
	if t.kind == array && len(t.items) > 0 {
		list = t.items
	}
	var types []string
	for _, item := range list {
		switch item.text {
		case "object", "array", "string", "number", "integer", "boolean", "null":
			if item.kind == text && !slices.Contains(types, item.text) {
				types = append(types, item.text)
			}
			continue
		}
		return nil, &SchemaError{path + "/type", "it must be object, array, string, number, integer, boolean, null or a list of them"}
	}
	if slices.Contains(types, "number") { // every integer is one
		types = slices.DeleteFunc(types, func(s string) bool { return s == "integer" })
	}
	return types, nil
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

// alternatives are schemas of which any one must hold.
func (c *compiler) alternatives(v *value, path, keyword string, from, to int32) error {
	if err := c.alone(v, path, keyword); err != nil {
		return err
	}
	list := v.get(keyword)
	if list.kind != array || len(list.items) == 0 {
		return &SchemaError{path + "/" + keyword, "it must be a list of schemas, not empty"}
	}
	for i, item := range list.items {
		r, err := c.rule(item, fmt.Sprintf("%s/%s/%d", path, keyword, i))
		if err != nil {
			return err
		}
		c.call(from, r, to)
	}
	return nil
}

// enumeration is one of the listed values that have the right type.
func (c *compiler) enumeration(v *value, path string, from, to int32) error {
	if err := c.alone(v, path, "enum", "const", "type"); err != nil {
		return err
	}
	types, err := typesOf(v, path)
	if err != nil {
		return err
	}
	list, only := v.get("enum"), v.get("const")
	switch {
	case list == nil:
		list = &value{kind: array, items: []*value{only}}
	case list.kind != array || len(list.items) == 0:
		return &SchemaError{path + "/enum", "it must be a list of values, not empty"}
	}
	var spellings []string
	for _, item := range list.items {
		s := item.spell()
		if (only == nil || s == only.spell()) && item.isOneOf(types) && !slices.Contains(spellings, s) {
			spellings = append(spellings, s)
		}
	}
	if len(spellings) == 0 {
		return &SchemaError{path, "none of its values has its type"}
	}
	c.literals(from, spellings, to)
	return nil
}

func (v *value) isOneOf(types []string) bool {
	return types == nil || slices.Contains(types, string(v.kind)) ||
		v.kind == number && slices.Contains(types, "integer") && !strings.ContainsAny(v.text, ".eE")
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
