package grammar

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
