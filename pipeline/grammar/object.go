package grammar

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// property is a key of an object with the rule of its value.
type property struct {
	key      string
	rule     int32
	required bool
}

// object is one with the properties in their order.
func (c *compiler) object(v *value, path string, from, to int32) error {
	named, other, more := v.get("properties"), v.get("additionalProperties"), false
	rest := int32(0) // the rule of properties that have no name
	switch {
	case other == nil:
		more = named == nil
		if more {
			rest = c.any()
		}
	case other.kind == boolean && !other.truth:
	default:
		more = true
		var err error
		if rest, err = c.rule(other, path+"/additionalProperties"); err != nil {
			return err
		}
	}
	properties, err := c.properties(v, path, rest, more)
	if err != nil {
		return err
	}
	c.members(from, to, properties, rest, more)
	return nil
}

// properties are those that the schema names. A name that is required and no
// more has the rule of those without name.
func (c *compiler) properties(v *value, path string, rest int32, more bool) ([]property, error) {
	var list []property
	if named := v.get("properties"); named != nil {
		if named.kind != object {
			return nil, &SchemaError{path + "/properties", "it must be an object"}
		}
		for _, m := range named.members {
			at := path + "/properties/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(m.key)
			r, err := c.rule(m.value, at)
			if err != nil {
				return nil, err
			}
			list = append(list, property{key: m.key, rule: r})
		}
	}
	required := v.get("required")
	if required == nil {
		return list, nil
	}
	if required.kind != array {
		return nil, &SchemaError{path + "/required", "it must be a list of names"}
	}
	for _, name := range required.items {
		if name.kind != text {
			return nil, &SchemaError{path + "/required", "it must be a list of names"}
		}
		i := slices.IndexFunc(list, func(p property) bool { return p.key == name.text })
		if i < 0 && !more {
			return nil, &SchemaError{path + "/required", fmt.Sprintf("%q is not one of the properties", name.text)}
		}
		if i < 0 {
			i = len(list)
			list = append(list, property{key: name.text, rule: rest})
		}
		list[i].required = true
	}
	return list, nil
}

// members is an object. Before each property there are two nodes: one where no
// property has been written and one where a comma must come first.
func (c *compiler) members(from, to int32, properties []property, rest int32, more bool) {
	first, later := c.literal(from, "{"), c.node()
	for _, p := range properties {
		nextFirst, nextLater := c.node(), c.node()
		key := c.node()
		c.skip(first, key)
		c.skip(c.separator(later, ","), key)
		c.call(c.separator(c.literal(key, quote(p.key)), ":"), p.rule, nextLater)
		if !p.required {
			c.skip(first, nextFirst)
			c.skip(later, nextLater)
		}
		first, later = nextFirst, nextLater
	}
	if more {
		key := c.node()
		c.skip(first, key)
		c.skip(c.separator(later, ","), key)
		c.call(c.separator(c.key(key, properties), ":"), rest, later)
	}
	c.bytes(first, '}', '}', to)
	c.bytes(later, '}', '}', to)
}

// anyObject is every object.
func (c *compiler) anyObject(from, to int32) { c.members(from, to, nil, c.anything, true) }

// key is a quoted key that is none of the given ones. It has no escapes, so that a
// key has one spelling only.
func (c *compiler) key(from int32, but []property) int32 {
	open, to := c.literal(from, `"`), c.node()
	other := c.node() // where the key differs from all
	c.runes(other, plainRunes, other)
	c.nodes[other].text = other
	c.bytes(other, '"', '"', to)
	var keys []string
	for _, p := range but {
		keys = append(keys, p.key)
	}
	c.differ(open, other, to, keys)
	return to
}

// differ continues a key that has begun like keys, of which the rests are
// given. Where one of them is complete the key may not end.
func (c *compiler) differ(from, other, to int32, keys []string) {
	next := map[rune][]string{}
	var order []rune
	ends := true
	for _, k := range keys {
		r, n := utf8.DecodeRuneInString(k)
		switch {
		case k == "":
			ends = false
			continue
		case !isPlain(r):
			continue // it cannot be written here anyway
		case next[r] == nil:
			order = append(order, r)
		}
		next[r] = append(next[r], k[n:])
	}
	if ends {
		c.bytes(from, '"', '"', to)
	}
	slices.Sort(order)
	c.runes(from, without(plainRunes, order), other)
	for _, r := range order {
		if c.full {
			return
		}
		n := c.node()
		c.runes(from, []runeRange{{r, r}}, n)
		c.differ(n, other, to, next[r])
	}
}
