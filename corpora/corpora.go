// Package corpora reads dialogue corpora, tells what is in them and turns them
// into the batches that a GPT-2 is trained on.
//
// # What a dialogue corpus is
//
// A dialogue corpus is a file with many conversations. Five formats are read,
// each of them plain or compressed with gzip or zstd:
//
//	turns     JSON Lines: {"id": "a1", "lang": "en", "turns": ["Hi!", "Hello!", "How are you?"]}
//	openai    JSON Lines: {"messages": [{"role": "user", "content": "Hi!"}, {"role": "assistant", …}]}
//	chitchat  text: one turn a line, an empty line between conversations
//	tsv       text: one conversation a line, its turns in columns
//	preferences  JSON Lines: {"input": {"messages": […]}, "preferred_output": [{"role": "assistant", …}],
//	             "non_preferred_output": [{"role": "assistant", …}]}
//
// Where a format does not name the speakers, they take turns and the user
// speaks first. Open finds the format out by itself; Reader.Next gives one
// Dialogue after the other, and a *BadLine error, with file, line and reason,
// for what is no dialogue.
//
// A line of preferences is a conversation with two replies to it, one of which
// is better. The better one is the Dialogue's last turn, so that whoever wants
// dialogues gets good ones; the other one is beside it, in Dialogue.Rejected.
//
// # How turns become training windows
//
// Encode spells a Dialogue in token ids with a dialogue.Template and cuts what
// is longer than the model's context into windows, each of which begins as a
// dialogue does. A window is an Example: its tokens, for each token the one
// that follows it (the target), and how much each target counts.
//
// Load does this for whole files and keeps the result in compact memory, a
// Dataset. Its Stream is endless, shuffled and mixed; it packs whole examples
// into a Batch until a budget of rows is full. Nothing is padded, and no
// example sees its neighbours: the model treats each as a segment of its own.
// A Stream's position is a few numbers (DatasetState): a run that was stopped
// goes on with exactly the batches that it would have seen.
//
// With EncodeOptions.Preferences a Dialogue becomes a pair of examples instead,
// the better reply and the rejected one behind the same prompt. A Batch then
// holds whole pairs.
//
// # Where to add a format
//
// Name it in Formats below, teach detect (detect.go) to recognize it, and
// write its parser beside openai.go or text.go: a function that reads lines
// from a Reader and returns a Dialogue or an error from Reader.badLine. Nothing
// else has to know.
package corpora

import (
	"fmt"
	"strings"

	"causerie/models/dialogue"
)

// Dialogue is one conversation.
type Dialogue struct {
	ID    string          // from the file, or "name:line" where the format has none
	Lang  string          // "en", "zh", … as the file says; may be empty
	Turns []dialogue.Turn // at least one, none of them empty

	// Rejected, if not empty, makes the dialogue a preference: the last turn,
	// which is the assistant's and follows one of the user, is a better reply
	// than this text.
	Rejected string
}

// Format names how a file holds its dialogues.
type Format string

// The formats. FormatAuto, the zero value, looks at the file's name and at its
// first line.
const (
	FormatAuto     Format = ""
	FormatTurns    Format = "turns"
	FormatOpenAI   Format = "openai"
	FormatChitchat Format = "chitchat"
	FormatTSV      Format = "tsv"
	// FormatPreferences is OpenAI's format for preference fine-tuning.
	FormatPreferences Format = "preferences"
)

// Formats lists the formats that can be asked for by name.
func Formats() []Format {
	return []Format{FormatTurns, FormatOpenAI, FormatChitchat, FormatTSV, FormatPreferences}
}

// ParseFormat finds a format by its name; "" and "auto" are FormatAuto.
func ParseFormat(name string) (Format, error) {
	if name == "" || name == "auto" {
		return FormatAuto, nil
	}
	var names []string
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown corpus format %q (known are %s)", name, strings.Join(names, ", "))
}

// Options says how a corpus is read. The zero value is ready for use.
type Options struct {
	// Format of the file. FormatAuto looks for itself.
	Format Format
	// SkipBad counts bad lines and goes on, instead of returning them as
	// errors. See Reader.Skipped and Reader.Bad.
	SkipBad bool
	// KeepBad is how many of the skipped lines Reader.Bad remembers; 0 means
	// 10, a negative number none.
	KeepBad int
	// MaxLine is the most bytes that a line may have, or a dialogue in a
	// chitchat text; what is longer is a bad line. 0 means 16 MiB.
	MaxLine int
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	if o.KeepBad == 0 {
		o.KeepBad = 10
	}
	if o.MaxLine == 0 {
		o.MaxLine = 16 << 20
	}
}

// Validate says which option makes no sense.
func (o Options) Validate() error {
	if _, err := ParseFormat(string(o.Format)); err != nil {
		return err
	}
	if o.MaxLine < 0 {
		return fmt.Errorf("the longest allowed line must be a positive number of bytes, not %d", o.MaxLine)
	}
	return nil
}

// BadLine is the error for a line that holds no usable dialogue. It concerns
// that line (or, in a chitchat text, that paragraph) only: Reader.Next can be
// called again and goes on after it.
type BadLine struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1
	Reason string `json:"reason"`
}

func (e *BadLine) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }
