package grammar

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
)

// pattern is a string that a regular expression is found in. The expressions are
// Go's, which are JSON Schema's (ECMA-262) without assertions about what
// stands around and without references back.
func (c *compiler) pattern(expression string, from, to int32) error {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return fmt.Errorf("the regular expression %q is not supported: %w", expression, err)
	}
	at, end := c.literal(from, `"`), c.node()
	c.bytes(end, '"', '"', to)
	return c.found(re.Simplify(), at, end)
}

// found is a text around an expression: anything before it unless it begins with ^,
// anything behind unless it ends with $.
func (c *compiler) found(re *syntax.Regexp, from, to int32) error {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op == syntax.OpAlternate {
		for _, sub := range re.Sub {
			if err := c.found(sub, from, to); err != nil {
				return err
			}
		}
		return nil
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	} else {
		from = c.anyText(from)
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		parts = parts[:n-1]
	} else {
		before := c.node()
		c.skip(c.anyText(before), to)
		to = before
	}
	return c.sequence(parts, from, to)
}

// anyText is any number of characters.
func (c *compiler) anyText(from int32) int32 {
	at := c.node()
	c.skip(from, at)
	c.call(at, c.anyCharacter(), at)
	return at
}

func (c *compiler) sequence(parts []*syntax.Regexp, from, to int32) error {
	for _, part := range parts {
		next := c.node()
		if err := c.expression(part, from, next); err != nil {
			return err
		}
		from = next
	}
	c.skip(from, to)
	return nil
}

func (c *compiler) expression(re *syntax.Regexp, from, to int32) error {
	switch re.Op {
	case syntax.OpNoMatch:
	case syntax.OpEmptyMatch:
		c.skip(from, to)
	case syntax.OpLiteral:
		return c.spelled(re, from, to)
	case syntax.OpCharClass:
		c.class(from, pairs(re.Rune), to)
	case syntax.OpAnyChar:
		c.class(from, []runeRange{{0, 0x10FFFF}}, to)
	case syntax.OpAnyCharNotNL: // and not ECMA-262's other ends of lines
		c.class(from, without([]runeRange{{0, 0x10FFFF}}, []rune{'\n', '\r', 0x2028, 0x2029}), to)
	case syntax.OpCapture:
		return c.expression(re.Sub[0], from, to)
	case syntax.OpConcat:
		return c.sequence(re.Sub, from, to)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if err := c.expression(sub, from, to); err != nil {
				return err
			}
		}
	case syntax.OpQuest:
		c.skip(from, to)
		return c.expression(re.Sub[0], from, to)
	case syntax.OpStar, syntax.OpPlus:
		before, after := c.node(), c.node()
		c.skip(from, before)
		c.skip(after, before)
		c.skip(after, to)
		if re.Op == syntax.OpStar {
			c.skip(from, to)
		}
		return c.expression(re.Sub[0], before, after)
	default:
		return fmt.Errorf("%s in the middle of a regular expression is not supported", re)
	}
	return nil
}

// spelled is a literal, letters of both cases where it says so.
func (c *compiler) spelled(re *syntax.Regexp, from, to int32) error {
	if re.Flags&syntax.FoldCase != 0 {
		return errors.New("(?i) is not supported")
	}
	for _, r := range re.Rune {
		next := c.node()
		c.class(from, []runeRange{{r, r}}, next)
		from = next
	}
	c.skip(from, to)
	return nil
}

func pairs(runes []rune) (out []runeRange) {
	for r := range slices.Chunk(runes, 2) {
		out = append(out, runeRange{r[0], r[1]})
	}
	return out
}

// class is one character of the ranges, escaped where JSON wants it.
func (c *compiler) class(from int32, ranges []runeRange, to int32) {
	var escaped []rune
	for r := range rune(0x20) {
		escaped = append(escaped, r)
	}
	escaped = append(escaped, '"', '\\')
	c.runes(from, without(ranges, escaped), to)
	var spellings []string
	for _, r := range escaped {
		if slices.ContainsFunc(ranges, func(x runeRange) bool { return x.low <= r && r <= x.high }) {
			spellings = append(spellings, escape(r))
		}
	}
	c.literals(from, spellings, to)
}
