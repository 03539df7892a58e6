package grammar

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

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
