package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// idlers are connections that have had one answer and wait.
type idlers struct {
	url   string
	conns []net.Conn
}

// dial opens a plain connection to a server.
func dial(ctx context.Context, server string) (net.Conn, *url.URL, error) {
	u, err := url.Parse(base(server))
	if err != nil {
		return nil, nil, err
	}
	if u.Scheme != "http" {
		return nil, nil, errors.New("idle and slow connections need a server without TLS")
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	return conn, u, err
}

// open adds a connection.
func (i *idlers) open(ctx context.Context) error {
	conn, u, err := dial(ctx, i.url)
	if err != nil {
		return err
	}
	i.conns = append(i.conns, conn)
	return askHealth(conn, u.Host)
}

// askHealth makes one request on a connection and reads the answer.
func askHealth(conn net.Conn, host string) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", response.Status)
	}
	return nil
}

// idleSample is how many of the idle connections are asked again in the end.
const idleSample = 100

// check asks some of the connections again: a server that dropped them under
// load, before its time for idle ones was up, has not held them.
func (i *idlers) check(r *Requests) {
	u, err := url.Parse(base(i.url))
	if err != nil || len(i.conns) == 0 {
		return
	}
	step := max(1, len(i.conns)/idleSample)
	for n := 0; n < len(i.conns); n += step {
		r.IdleAsked++
		if err := askHealth(i.conns[n], u.Host); err == nil {
			r.IdleAlive++
		}
	}
}

func (i *idlers) close() {
	for _, c := range i.conns {
		_ = c.Close() // it is only dropped
	}
	i.conns = nil
}
