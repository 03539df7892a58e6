package tokenizer

import "unicode/utf8"

// GPT-2's files spell every byte as one visible character; doc.go says why. The
// same table fixes the ids of the 256 single bytes in GPT-2's vocabulary: first
// those that stand for themselves, in order, then the others.
var (
	visibleRune [256]rune // byte -> the character that spells it
	visibleByte [maxVisible]int16
	byteOrder   [256]byte // GPT-2's id of a single byte -> that byte
)

// maxVisible is one more than the last character used: 256 + 68 replaced bytes.
const maxVisible = 0x100 + 68

func init() {
	for i := range visibleByte {
		visibleByte[i] = -1
	}
	id := 0
	assign := func(b int, r rune) {
		visibleRune[b] = r
		visibleByte[r] = int16(b)
		byteOrder[id] = byte(b)
		id++
	}
	for b := range 256 {
		if spellsItself(byte(b)) {
			assign(b, rune(b))
		}
	}
	next := rune(0x100)
	for b := range 256 {
		if !spellsItself(byte(b)) {
			assign(b, next)
			next++
		}
	}
}

// spellsItself reports whether b, read as Latin-1, is a character one can see:
// '!'..'~', '¡'..'¬' and '®'..'ÿ' (0xAD is the invisible soft hyphen).
func spellsItself(b byte) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
}

// toVisible spells the bytes of s in visible characters.
func toVisible(s string) string {
	out := make([]byte, 0, len(s)+len(s)/2)
	for i := range len(s) {
		out = utf8.AppendRune(out, visibleRune[s[i]])
	}
	return string(out)
}

// fromVisible reads a spelling back; ok is false if a character in it spells no byte.
func fromVisible(s string) (bytes string, ok bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= maxVisible || visibleByte[r] < 0 {
			return "", false
		}
		out = append(out, byte(visibleByte[r]))
	}
	return string(out), true
}
