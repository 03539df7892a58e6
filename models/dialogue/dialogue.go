// Package dialogue says what a conversation is, a list of turns with roles,
// and how it becomes the one long row of token ids that a GPT-2 reads.
//
// A GPT-2 only ever continues a row of ids, so somebody has to decide how "the
// user said this, then the assistant said that" is spelled in ids. That
// spelling is a Template. Training (package corpora) and chatting (package
// pipeline) use the same Template, and that is what lets a model that learnt
// from dialogues take part in one:
//
//	tpl := dialogue.ForTokenizer(tok)
//	ids := tpl.Begin(nil)
//	ids = tpl.AppendTurn(ids, dialogue.User("How are you?"))
//	ids = tpl.AppendPrompt(ids) // now the model continues with its reply,
//	                            // until it draws one of tpl.Stops()
//
// Three spellings are known, and ForTokenizer picks by looking at which
// special tokens a vocabulary has:
//
//   - markers: <|user|>text<|end|><|assistant|>text<|end|>…<|endoftext|>,
//     the spelling of the models that this project trains;
//   - [CLS]text[SEP]text[SEP], which Chinese GPT-2s with a BERT vocabulary use
//     since the GPT2-chitchat project;
//   - text<|endoftext|>text<|endoftext|>, which DialoGPT uses and which is the
//     least surprising one for a GPT-2 that knows no markers.
//
// Text is always encoded as plain text: a user who types "<|end|>" has typed
// seven characters, not ended a turn.
//
// To add a spelling: write a type that implements Template in a file of its
// own, and a line in ForTokenizer that recognizes its vocabulary.
package dialogue

import "fmt"

// Role says who speaks in a turn.
type Role string

// The roles of a conversation, named as OpenAI's chat API names them.
const (
	RoleSystem    Role = "system"    // instructions before the conversation; not a speaker
	RoleUser      Role = "user"      // the human
	RoleAssistant Role = "assistant" // the model
)

// ParseRole turns a name into a Role. "developer", OpenAI's newer name for
// "system", is understood too.
func ParseRole(name string) (Role, error) {
	switch r := Role(name); r {
	case RoleSystem, RoleUser, RoleAssistant:
		return r, nil
	case "developer":
		return RoleSystem, nil
	default:
		return "", fmt.Errorf("unknown role %q (known are system, developer, user and assistant)", name)
	}
}

// Turn is what one speaker says before the other one answers.
type Turn struct {
	Role Role
	Text string
	// Weight multiplies the training loss of this turn: 1 is learnt as it is,
	// 0 is read but not learnt. Only training looks at it. The readers of
	// package corpora and User, Assistant and System below set it to 1.
	Weight float32
}

// User is a turn of the human with weight 1.
func User(text string) Turn { return Turn{Role: RoleUser, Text: text, Weight: 1} }

// Assistant is a turn of the model with weight 1.
func Assistant(text string) Turn { return Turn{Role: RoleAssistant, Text: text, Weight: 1} }

// System is an instruction with weight 1. (No loss is ever taken on it: the
// model is given instructions, it never has to come up with them.)
func System(text string) Turn { return Turn{Role: RoleSystem, Text: text, Weight: 1} }
