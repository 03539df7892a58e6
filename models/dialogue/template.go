package dialogue

// Template spells a conversation in token ids. A training example is
//
//	Begin, AppendTurn for every turn, End
//
// and a prompt is
//
//	Begin, AppendTurn for every turn so far, AppendPrompt
//
// after which the model writes a reply and one of Stops. Every method is safe
// for concurrent use, keeps no state and appends to dst as append does.
type Template interface {
	// AppendTurn appends a complete turn with its markers, the one that ends
	// it included.
	AppendTurn(dst []int32, t Turn) []int32
	// AppendPrompt appends what makes the model answer: the marker that opens
	// a turn of the assistant (nothing, in a spelling without such markers).
	AppendPrompt(dst []int32) []int32
	// Begin appends what stands at the very start of a conversation.
	Begin(dst []int32) []int32
	// End appends what ends a conversation in training.
	End(dst []int32) []int32
	// Stops lists the ids that end a reply, the usual one first. The caller
	// must not change the list.
	Stops() []int32
	// Markers says how many of the ids that AppendTurn appends for this role
	// stand before the text and how many after it. The rest is text.
	Markers(r Role) (before, after int)
	// SystemTurns says whether the spelling has a place for system turns.
	// Where it has not, AppendTurn appends nothing for them: such a model
	// would take instructions for the first thing that the user says.
	SystemTurns() bool
}

// Tokenizer is what a Template needs of a tokenizer; tokenizer.Tokenizer has it.
type Tokenizer interface {
	// Encode appends the ids of text, in which names of special tokens are
	// plain text.
	Encode(dst []int32, text string) []int32
	// SpecialID finds a special token by its name.
	SpecialID(name string) (int32, bool)
}

// Names of the special tokens that the spellings are made of.
const (
	EndOfText       = "<|endoftext|>"
	MarkerSystem    = "<|system|>"
	MarkerUser      = "<|user|>"
	MarkerAssistant = "<|assistant|>"
	MarkerEnd       = "<|end|>"
)

// Specials lists the special tokens of a vocabulary made for the marker
// spelling, in the order in which new vocabularies number them.
func Specials() []string {
	return []string{EndOfText, MarkerSystem, MarkerUser, MarkerAssistant, MarkerEnd}
}

// ForTokenizer picks the spelling that fits a vocabulary: the marker spelling
// when it has the markers, GPT2-chitchat's when it has [SEP], DialoGPT's
// otherwise. It never fails: a vocabulary without any special token gets one
// turn a line.
func ForTokenizer(t Tokenizer) Template {
	if tpl, ok := newMarkers(t); ok {
		return tpl
	}
	if tpl, ok := newChitchat(t); ok {
		return tpl
	}
	return newDialoGPT(t)
}
