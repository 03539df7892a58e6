package grammar

// plainRunes are the characters that stand for themselves in a JSON string.
var plainRunes = []runeRange{{0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, 0xD7FF}, {0xE000, 0x10FFFF}}

func isPlain(r rune) bool { return r >= 0x20 && r != '"' && r != '\\' }

// without is ranges without some characters, which must be sorted.
func without(ranges []runeRange, but []rune) (out []runeRange) {
	for _, r := range ranges {
		for _, x := range but {
			if x < r.low || x > r.high {
				continue
			}
			if r.low < x {
				out = append(out, runeRange{r.low, x - 1})
			}
			r.low = x + 1
		}
		if r.low <= r.high {
			out = append(out, r)
		}
	}
	return out
}

// text is a string.
func (c *compiler) text(v *value, path string, from, to int32) error {
	for _, keyword := range []string{"pattern", "format"} {
		p := v.get(keyword)
		if p == nil {
			continue
		}
		if p.kind != text {
			return &SchemaError{path + "/" + keyword, "it must be a string"}
		}
		for _, other := range []string{"format", "minLength", "maxLength"} {
			if other != keyword && v.get(other) != nil {
				return &SchemaError{path, `"` + other + `" is not supported beside "` + keyword + `"`}
			}
		}
		if keyword == "format" {
			return c.format(p.text, path, from, to)
		}
		if err := c.pattern(p.text, from, to); err != nil {
			return &SchemaError{path + "/pattern", err.Error()}
		}
		return nil
	}
	low, err := count(v, path, "minLength", 0)
	if err != nil {
		return err
	}
	high, err := count(v, path, "maxLength", -1)
	if err != nil {
		return err
	}
	c.sized(from, to, low, high)
	return nil
}

// free is a string of any length.
func (c *compiler) free(from, to int32) { c.sized(from, to, 0, -1) }

// sized is a string of low to high characters, or of any number from low on when
// high is -1.
func (c *compiler) sized(from, to int32, low, high int) {
	at := c.literal(from, `"`)
	for n := 0; !c.full; n++ {
		if n >= low {
			c.bytes(at, '"', '"', to)
		}
		if n == high {
			return
		}
		next := at
		if high >= 0 || n < low {
			next = c.node()
		}
		c.call(at, c.anyCharacter(), next)
		c.nodes[at].text = next
		if next == at {
			return
		}
		at = next
	}
}

// anyCharacter is the rule of one character in a string, escaped or not.
func (c *compiler) anyCharacter() int32 {
	if c.character != 0 {
		return c.character
	}
	c.character = c.node()
	from, to := c.character, c.final()
	c.runes(from, plainRunes, to)
	escaped := c.literal(from, `\`)
	for _, e := range []byte(`"\/bfnrt`) {
		c.bytes(escaped, e, e, to)
	}
	// Four digits are a UTF-16 unit; D800 to DBFF and DC00 to DFFF make a pair.
	unit := c.literal(escaped, "u")
	later, high := c.node(), c.node()
	c.hex(unit, later, "0123456789ABCEFabcef")
	for _, d := range []byte("Dd") {
		c.bytes(unit, d, d, high)
	}
	last := c.node()
	c.hex(high, last, "01234567")
	c.hex(later, last, digits)
	tail := c.node()
	c.hex(last, tail, digits)
	c.hex(tail, to, digits)

	second := c.node()
	c.hex(high, second, "89ABab")
	third, fourth := c.node(), c.node()
	c.hex(second, third, digits)
	c.hex(third, fourth, digits)
	low := c.literal(fourth, `\u`)
	first, lows := c.node(), c.node()
	c.hex(low, first, "Dd")
	c.hex(first, lows, "CDEFcdef")
	c.hex(lows, tail, digits)
	return c.character
}

const digits = "0123456789ABCDEFabcdef"

func (b *builder) hex(from, to int32, digits string) {
	for i := range len(digits) {
		b.bytes(from, digits[i], digits[i], to)
	}
}
