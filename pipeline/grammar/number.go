package grammar

import (
	"fmt"
	"math/big"
	"strings"
)

// Digits of numbers: as many as float64 keeps.
const (
	maxInteger  = "999999999999999"
	maxFraction = 15
)

// bound is the end of a range of magnitudes: digits before and behind the point.
type bound struct {
	whole, fraction string
	open            bool // the end itself is not in the range
}

// bounds are those of a number; nil where there is none.
type bounds struct{ low, high *limit }

// limit is a bound with a sign.
type limit struct {
	value *big.Rat
	open  bool
}

// number is a number, or an integer, within bounds.
func (c *compiler) number(v *value, path string, integer bool, from, to int32) error {
	var b bounds
	for _, k := range []struct {
		keyword string
		end     **limit
		sign    int
		open    bool
	}{
		{"minimum", &b.low, 1, false}, {"exclusiveMinimum", &b.low, 1, true},
		{"maximum", &b.high, -1, false}, {"exclusiveMaximum", &b.high, -1, true},
	} {
		n := v.get(k.keyword)
		if n == nil {
			continue
		}
		l, err := parseLimit(n, k.open)
		if err != nil {
			return &SchemaError{path + "/" + k.keyword, err.Error()}
		}
		if old := *k.end; old == nil || l.value.Cmp(old.value) == k.sign || l.value.Cmp(old.value) == 0 && l.open {
			*k.end = l
		}
	}
	fraction := maxFraction
	b.low, b.high = b.low.round(1), b.high.round(-1)
	if integer {
		fraction = 0
		b.low, b.high = b.low.integer(1), b.high.integer(-1)
	}
	c.decimals(from, to, fraction, b, !integer && b == bounds{})
	return nil
}

// parseLimit reads a bound, which must have few enough digits to count with.
func parseLimit(n *value, open bool) (*limit, error) {
	if n.kind != number || len(n.text) > 40 {
		return nil, fmt.Errorf("it must be a number")
	}
	l := &limit{value: new(big.Rat), open: open}
	if _, err := fmt.Sscan(n.text, l.value); err != nil {
		return nil, fmt.Errorf("it must be a number")
	}
	largest, _ := new(big.Rat).SetString(maxInteger)
	if new(big.Rat).Abs(l.value).Cmp(largest) > 0 {
		return nil, fmt.Errorf("it must lie between -%s and %s", maxInteger, maxInteger)
	}
	return l, nil
}

// round moves a bound inwards to the next number that can be written; sign says
// on which side it is.
func (l *limit) round(sign int) *limit {
	if l == nil {
		return nil
	}
	exact, _ := new(big.Rat).SetString(l.value.FloatString(maxFraction))
	if exact.Cmp(l.value) == 0 {
		return l
	}
	if exact.Cmp(l.value) != sign {
		unit, _ := new(big.Rat).SetString(fmt.Sprintf("%de-%d", sign, maxFraction))
		exact.Add(exact, unit)
	}
	return &limit{value: exact}
}

// integer is the nearest integer within a bound; sign says on which side.
func (l *limit) integer(sign int64) *limit {
	if l == nil {
		return nil
	}
	floor := new(big.Int).Div(l.value.Num(), l.value.Denom()) // rounds down: the divisor is positive
	if exact := l.value.IsInt(); sign > 0 && !exact || sign > 0 && l.open {
		floor.Add(floor, big.NewInt(1))
	} else if sign < 0 && exact && l.open {
		floor.Sub(floor, big.NewInt(1))
	}
	return &limit{value: new(big.Rat).SetInt(floor)}
}

// decimals are the numbers within bounds, with up to fraction digits behind the
// point, and with an exponent if that is allowed.
func (c *compiler) decimals(from, to int32, fraction int, b bounds, exponent bool) {
	end := to
	if exponent {
		end = c.node()
		c.skip(end, to)
		c.exponent(end, to)
	}
	zero := new(big.Rat)
	// Not negative.
	if b.high == nil || b.high.value.Sign() > 0 || b.high.value.Sign() == 0 && !b.high.open {
		low := bound{whole: "0"}
		if b.low != nil && b.low.value.Cmp(zero) >= 0 {
			low = b.low.magnitude()
		}
		c.magnitudes(from, end, low, b.high.magnitude(), fraction)
	}
	// Negative: the same with the ends exchanged.
	if b.low == nil || b.low.value.Sign() < 0 {
		low := bound{whole: "0", open: true}
		if b.high != nil && b.high.value.Sign() < 0 {
			low = b.high.magnitude()
		}
		c.magnitudes(c.literal(from, "-"), end, low, b.low.magnitude(), fraction)
	}
}

func (c *compiler) exponent(from, to int32) {
	sign, first, second := c.node(), c.node(), c.node()
	c.bytes(from, 'e', 'e', sign)
	c.bytes(from, 'E', 'E', sign)
	c.bytes(sign, '+', '+', first)
	c.bytes(sign, '-', '-', first)
	c.skip(sign, first)
	c.bytes(first, '0', '9', second)
	c.bytes(second, '0', '9', to)
	c.skip(second, to)
}

// magnitude is a limit without its sign; that of nil is the largest there is.
func (l *limit) magnitude() bound {
	if l == nil {
		return bound{whole: maxInteger, fraction: strings.Repeat("9", maxFraction)}
	}
	whole, fraction, _ := strings.Cut(new(big.Rat).Abs(l.value).FloatString(maxFraction), ".")
	return bound{whole, strings.TrimRight(fraction, "0"), l.open}
}
