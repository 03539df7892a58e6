package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line or prompt that is read, in bytes: far more than
// any context holds.
const maxLine = 1 << 20

// lineReader reads lines in a goroutine of its own, so that waiting for one
// can be given up. It reads a line only when asked, and ends after the first
// error. (A read from a terminal cannot be interrupted; one that was given up
// ends with the process.)
type lineReader struct {
	asked   chan struct{}
	answers chan readLine
}

type readLine struct {
	text string
	err  error // io.EOF at the end
}

func newLineReader(r io.Reader) *lineReader {
	l := &lineReader{asked: make(chan struct{}, 1), answers: make(chan readLine, 1)}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	go func() {
		for range l.asked {
			if scanner.Scan() {
				l.answers <- readLine{text: scanner.Text()}
				continue
			}
			err := scanner.Err()
			switch {
			case err == nil:
				err = io.EOF
			case errors.Is(err, bufio.ErrTooLong):
				err = fmt.Errorf("a line of the input is longer than %d bytes", maxLine)
			default:
				err = fmt.Errorf("reading the input: %w", err)
			}
			l.answers <- readLine{err: err}
			return
		}
	}()
	return l
}

// ask requests the next line, which comes in answers.
func (l *lineReader) ask() { l.asked <- struct{}{} }

// close ends the goroutine, as soon as it does not wait for input.
func (l *lineReader) close() { close(l.asked) }
