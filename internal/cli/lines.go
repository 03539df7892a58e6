package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/peterh/liner"
)

// maxLine is the longest line or prompt that is read, in bytes: far more than
// any context holds.
const maxLine = 1 << 20

// lineReader reads lines in a goroutine of its own, so that waiting for one
// can be given up. It reads a line only when asked, and ends after the first
// error. (A read that was given up cannot be interrupted: it ends with the
// process.)
type lineReader struct {
	asked   chan struct{}
	answers chan readLine
}

type readLine struct {
	text string
	err  error // io.EOF at the end
}

// newLineReader makes a reader of the lines that next returns.
func newLineReader(next func() (string, error)) *lineReader {
	l := &lineReader{asked: make(chan struct{}, 1), answers: make(chan readLine, 1)}
	go func() {
		for range l.asked {
			text, err := next()
			l.answers <- readLine{text, err}
			if err != nil {
				return
			}
		}
	}()
	return l
}

// ask requests the next line, which comes in answers.
func (l *lineReader) ask() { l.asked <- struct{}{} }

// close ends the goroutine, as soon as it does not wait for input.
func (l *lineReader) close() { close(l.asked) }

// scanLines reads lines from a pipe or a file.
func scanLines(r io.Reader) func() (string, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	return func() (string, error) {
		if scanner.Scan() {
			return scanner.Text(), nil
		}
		switch err := scanner.Err(); {
		case err == nil:
			return "", io.EOF
		case errors.Is(err, bufio.ErrTooLong):
			return "", fmt.Errorf("a line of the input is longer than %d bytes", maxLine)
		default:
			return "", fmt.Errorf("reading the input: %w", err)
		}
	}
}

// editLines lets a person at a terminal type lines, with the cursor keys and
// a history, and with characters that are two columns wide. restore gives the
// terminal back as it was.
func editLines(prompt string) (next func() (string, error), restore func()) {
	state := liner.NewLiner()
	state.SetCtrlCAborts(true)
	next = func() (string, error) {
		line, err := state.Prompt(prompt)
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
			return "", errInterrupted
		case err == io.EOF:
			return "", io.EOF
		case err != nil:
			return "", fmt.Errorf("reading the terminal: %w", err)
		}
		state.AppendHistory(line)
		return line, nil
	}
	return next, func() { _ = state.Close() } // there is nothing left to do about it
}
