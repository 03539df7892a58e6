package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// chatHelp is what /help prints.
const chatHelp = `  /reset      forget the conversation
  /save FILE  write the conversation to FILE, as a line of JSON in OpenAI's form
  /quit       leave (or Ctrl-D)
  /help       this list
Ctrl-C stops a reply.
`

// command runs a line that starts with a slash.
func (t *conversation) command(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/quit", "/exit", "/bye":
		return errQuit
	case "/help", "/?":
		fmt.Fprint(t.std.Err, chatHelp)
	case "/reset":
		t.session.Reset()
		fmt.Fprintln(t.std.Err, "(a new conversation)")
	case "/save":
		if err := t.save(rest); err != nil {
			fmt.Fprintf(t.std.Err, "causerie: /save: %v\n", err)
			t.failed = t.failed || !t.typed
		}
	default:
		fmt.Fprintf(t.std.Err, "There is no command %s; /help lists those there are.\n", name)
	}
	return nil
}

// save writes the conversation to a file that it does not take from anybody:
// only one that it wrote itself is written again.
func (t *conversation) save(name string) (err error) {
	if name == "" {
		return errors.New("name a file: /save chat.jsonl")
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !t.saved[name] {
		flags |= os.O_EXCL
	}
	file, err := os.OpenFile(name, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose another name", name)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := t.session.Save(file); err != nil {
		return err
	}
	if t.saved == nil {
		t.saved = make(map[string]bool)
	}
	t.saved[name] = true
	fmt.Fprintf(t.std.Err, "(saved in %s)\n", name)
	return nil
}
