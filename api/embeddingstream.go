package api

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
)

// embedding is one vector in OpenAI's form.
type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // numbers, or their bytes in base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// embeddingStream writes a list of vectors as they come, so that an answer with
// thousands of them is never whole in memory. The status goes out with the
// first bufferful: until then an error can still be told.
type embeddingStream struct {
	http     http.ResponseWriter
	out      *bufio.Writer
	inBase64 bool
	begun    bool // something was sent
	count    int
}

// embeddingBuffer is how much of an answer waits to be sent.
const embeddingBuffer = 32 << 10

func newEmbeddingStream(w http.ResponseWriter, inBase64 bool) *embeddingStream {
	s := &embeddingStream{http: w, inBase64: inBase64}
	s.out = bufio.NewWriterSize(s, embeddingBuffer)
	return s
}

// Write sends a bufferful.
func (s *embeddingStream) Write(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.http.Header().Set("Content-Type", "application/json")
		s.http.WriteHeader(http.StatusOK)
	}
	return s.http.Write(p)
}

// add writes the vector of an input.
func (s *embeddingStream) add(index int, vector []float32) error {
	before := `{"object":"list","data":[`
	if s.count > 0 {
		before = ","
	}
	s.count++
	item := embedding{Object: "embedding", Index: index, Embedding: vector}
	if s.inBase64 {
		item.Embedding = base64.StdEncoding.EncodeToString(littleEndian(vector))
	}
	data, err := json.Marshal(item)
	if err != nil {
		return err // a number that JSON does not have
	}
	if _, err := s.out.WriteString(before); err != nil {
		return err
	}
	_, err = s.out.Write(data)
	return err
}

// end writes what follows the vectors.
func (s *embeddingStream) end(model string, tokens int) error {
	rest, err := json.Marshal(struct {
		Model string         `json:"model"`
		Usage embeddingUsage `json:"usage"`
	}{model, embeddingUsage{PromptTokens: tokens, TotalTokens: tokens}})
	if err != nil {
		return err
	}
	if _, err := s.out.WriteString("],"); err != nil {
		return err
	}
	if _, err := s.out.Write(append(rest[1:], '\n')); err != nil {
		return err
	}
	return s.out.Flush()
}

// littleEndian is the bytes of a vector as the SDKs read them.
func littleEndian(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
