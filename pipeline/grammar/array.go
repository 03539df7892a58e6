package grammar

import (
	"fmt"
	"strconv"
)

// array is a list of values of one schema.
func (c *compiler) array(v *value, path string, from, to int32) error {
	low, err := count(v, path, "minItems", 0)
	if err != nil {
		return err
	}
	high, err := count(v, path, "maxItems", -1)
	if err != nil {
		return err
	}
	var item int32
	switch items := v.get("items"); {
	case items == nil:
		item = c.any()
	case items.kind == array:
		return &SchemaError{path + "/items", "a list of schemas is not supported"}
	default:
		if item, err = c.rule(items, path+"/items"); err != nil {
			return err
		}
	}
	c.list(from, to, item, low, high)
	return nil
}

// list is an array of low to high values, or of any number from low on when
// high is -1.
func (c *compiler) list(from, to, item int32, low, high int) {
	at := c.literal(from, "[")
	for n := 0; !c.full; n++ {
		if n >= low {
			c.bytes(at, ']', ']', to)
		}
		if n == high {
			return
		}
		start := at
		if n > 0 {
			start = c.separator(at, ",")
		}
		if high < 0 && n >= max(low, 1) {
			c.call(start, item, at)
			return
		}
		next := c.node()
		c.call(start, item, next)
		at = next
	}
}

// maxCount is the largest length or number of items that a schema may name.
const maxCount = 1 << 15

// count reads a keyword that counts.
func count(v *value, path, keyword string, otherwise int) (int, error) {
	n := v.get(keyword)
	if n == nil {
		return otherwise, nil
	}
	i, err := strconv.Atoi(n.text)
	if n.kind != number || err != nil || i < 0 || i > maxCount {
		return 0, &SchemaError{path + "/" + keyword, fmt.Sprintf("it must be an integer between 0 and %d", maxCount)}
	}
	return i, nil
}
