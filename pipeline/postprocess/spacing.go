package postprocess

// Spacing says which spaces of a model's text are put right.
type Spacing int

const (
	// SpacingExact changes nothing.
	SpacingExact Spacing = iota
	// SpacingNatural takes away what no writer puts there: space at both ends,
	// several spaces in a row, space around Chinese punctuation and before a
	// comma or full stop, characters that stand for broken ones.
	SpacingNatural
	// SpacingWords is for text whose words and punctuation marks were all
	// split by spaces, as WordPiece leaves it: "你 好 ！ don ' t stop ."
	SpacingWords
)
