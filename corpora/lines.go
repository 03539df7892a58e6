package corpora

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression names how a file is compressed.
type Compression string

// The compressions that are read.
const (
	Plain Compression = "plain"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// The first bytes of compressed files.
var magics = []struct {
	magic       string
	compression Compression
}{
	{"\x1f\x8b", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
}

// The first bytes of files that people may well try and that are not read.
var refused = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive"},
	{"BZh", "compressed with bzip2"},
	{"\xfd7zXZ\x00", "compressed with xz"},
	{"\x04\x22\x4d\x18", "compressed with lz4"},
	{"PAR1", "a Parquet table"},
	{"ARROW1", "an Arrow table"},
}

// decompress looks at the first bytes and returns the plain bytes of src. The
// closer may be nil.
func decompress(src io.Reader) (io.Reader, Compression, io.Closer, error) {
	buffered := bufio.NewReaderSize(src, 64<<10)
	head, err := buffered.Peek(6)
	if err != nil && err != io.EOF {
		return nil, "", nil, err
	}
	for _, r := range refused {
		if bytes.HasPrefix(head, []byte(r.magic)) {
			return nil, "", nil, fmt.Errorf("the file is %s; unpack it to plain text, gzip or zstd", r.what)
		}
	}
	for _, m := range magics {
		if !bytes.HasPrefix(head, []byte(m.magic)) {
			continue
		}
		if m.compression == Zstd {
			// One goroutine is enough and leaves nothing behind; the window
			// bounds what a hostile header can make us allocate.
			z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
			if err != nil {
				return nil, "", nil, fmt.Errorf("zstd: %w", err)
			}
			closer := z.IOReadCloser()
			return bufio.NewReaderSize(z, 64<<10), Zstd, closer, nil
		}
		z, err := gzip.NewReader(buffered)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, "", nil, fmt.Errorf("the gzip data is cut short: %w", io.ErrUnexpectedEOF)
			}
			return nil, "", nil, fmt.Errorf("gzip: %w", err)
		}
		// A gzip.Reader holds nothing to release, and its Close only repeats
		// the error that reading has told.
		return bufio.NewReaderSize(z, 64<<10), Gzip, nil, nil
	}
	return buffered, Plain, nil, nil
}

var errLineTooLong = errors.New("line too long")

// lineReader splits bytes into lines. Unlike a bufio.Scanner it can go on after
// a line that is too long.
type lineReader struct {
	src    *bufio.Reader
	buf    []byte
	max    int
	number int // of lines returned
}

func newLineReader(src io.Reader, longest int) *lineReader {
	buffered, ok := src.(*bufio.Reader)
	if !ok {
		buffered = bufio.NewReaderSize(src, 64<<10)
	}
	return &lineReader{src: buffered, max: longest}
}

// next returns a line without its end, which may be LF, CRLF or the end of the
// file, and without the byte order mark at the start of a file.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	tooLong := false
	for {
		part, err := l.src.ReadSlice('\n')
		if !tooLong && len(l.buf)+len(part) <= l.max+2 {
			l.buf = append(l.buf, part...)
		} else if len(part) > 0 {
			tooLong = true
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && (err != io.EOF || len(l.buf) == 0 && !tooLong) {
			return nil, err
		}
		break
	}
	l.number++
	line := bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r"))
	if l.number == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if tooLong || len(line) > l.max {
		return nil, errLineTooLong
	}
	return line, nil
}
