package grammar

import (
	"fmt"
	"slices"
	"strings"
)

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
