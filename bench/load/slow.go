package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// slowReader asks for a long reply and reads it one byte a second, with as
// small a buffer as the system lets it have.
type slowReader struct {
	url, key, model string
	read            int // bytes
	dropped         int // times that the server gave it up
	err             error
}

// run asks again when the server has dropped it, until ctx ends.
func (s *slowReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			s.err = err
			s.dropped++
			pause(ctx, time.Second)
		}
	}
}

func (s *slowReader) once(ctx context.Context) error {
	conn, u, err := dial(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1 << 10) // the system takes what is nearest
	}
	body, err := json.Marshal(map[string]any{
		"model": s.model, "stream": true, "messages": []map[string]string{{"role": "user", "content": "Tell me everything."}},
	})
	if err != nil {
		return err
	}
	key := ""
	if s.key != "" {
		key = "Authorization: Bearer " + s.key + "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		u.Host, key, len(body), body); err != nil {
		return err
	}
	for one := make([]byte, 1); pause(ctx, time.Second); {
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		if _, err := conn.Read(one); err != nil {
			return err
		}
		s.read++
	}
	return nil
}
