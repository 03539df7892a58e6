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

// magnitudes are the decimals from low to high, which are not negative. A node
// stands for the digits so far being those of low, those of high, or neither.
func (c *compiler) magnitudes(from, to int32, low, high bound, fraction int) {
	d := &decimal{compiler: c, low: low, high: high, to: to, fraction: fraction, nodes: map[place]int32{}}
	for n := len(low.whole); n <= len(high.whole); n++ {
		d.wholes(from, place{digits: n, low: n == len(low.whole), high: n == len(high.whole)})
	}
}

type decimal struct {
	*compiler
	low, high bound
	to        int32
	fraction  int
	nodes     map[place]int32
}

// place is where a number has got to.
type place struct {
	digits    int  // before the point in all; -1 behind it
	at        int  // digits so far, on this side of the point
	low, high bool // they are those of the bound
}

// visit is the node of a place, which build makes of a new one.
func (d *decimal) visit(p place, build func(int32, place)) int32 {
	n, ok := d.nodes[p]
	if !ok {
		n = d.node()
		d.nodes[p] = n
		build(n, p)
	}
	return n
}

// wholes are the digits before the point.
func (d *decimal) wholes(n int32, p place) {
	if p.at == p.digits {
		d.point(n, p)
		return
	}
	least, most := byte('0'), byte('9')
	if p.at == 0 && p.digits > 1 {
		least = '1'
	}
	if p.low {
		least = max(least, d.low.whole[p.at])
	}
	if p.high {
		most = d.high.whole[p.at]
	}
	d.digits(n, p, least, most, d.wholes)
}

// digits leads on with each digit; those between the bounds' go one way.
func (d *decimal) digits(n int32, p place, least, most byte, build func(int32, place)) {
	next := p
	next.at++
	for digit := least; digit <= most; digit++ {
		next.low, next.high = p.low && digit == least && d.tight(p, least), p.high && digit == most
		d.bytes(n, digit, digit, d.visit(next, build))
	}
}

// tight tells whether the smallest digit at a place is that of the lower bound.
func (d *decimal) tight(p place, least byte) bool {
	if p.digits >= 0 {
		return least == d.low.whole[p.at]
	}
	return least == digitAt(d.low.fraction, p.at)
}

func digitAt(digits string, i int) byte {
	if i < len(digits) {
		return digits[i]
	}
	return '0'
}

// point ends the number before the point, or goes on behind it.
func (d *decimal) point(n int32, p place) {
	p.digits, p.at = -1, 0
	d.stop(n, p)
	if d.fraction > 0 {
		dot := d.node()
		d.bytes(n, '.', '.', dot)
		d.fractionDigit(dot, p)
	}
}

// fractions are the digits behind the point, where there is one at least.
func (d *decimal) fractions(n int32, p place) {
	d.stop(n, p)
	if p.at < d.fraction {
		d.fractionDigit(n, p)
	}
}

func (d *decimal) fractionDigit(n int32, p place) {
	least, most := byte('0'), byte('9')
	if p.low {
		least = digitAt(d.low.fraction, p.at)
	}
	if p.high {
		most = digitAt(d.high.fraction, p.at)
	}
	d.digits(n, p, least, most, d.fractions)
}

// stop lets the number end if it is within both bounds as it is.
func (d *decimal) stop(n int32, p place) {
	rest := func(digits string) bool { return p.at < len(digits) } // which does not end in zeros
	if p.low && (rest(d.low.fraction) || d.low.open) {
		return
	}
	if p.high && !rest(d.high.fraction) && d.high.open {
		return
	}
	d.skip(n, d.to)
}
