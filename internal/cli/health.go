package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// HealthCmd is `causerie health`.
type HealthCmd struct {
	Listen  string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"The server's address, as in serve."`
	Host    []string      `placeholder:"NAME" help:"Names that the server answers for, as in serve."`
	TLSCert string        `name:"tls-cert" placeholder:"FILE" help:"The server's certificate, as in serve: it speaks TLS, and with this one."`
	Alive   bool          `config:"-" help:"Be content with a server that still loads its model, or stops."`
	Wait    time.Duration `config:"-" default:"3s" help:"How long the answer may take."`
}

// Help is what `causerie health --help` says besides the flags.
func (*HealthCmd) Help() string {
	return `The exit code is 0 when the server on this machine is ready for requests, else 1. It
finds the server by the same environment and configuration file that the server has.`
}

// Run asks the server.
func (c *HealthCmd) Run(ctx context.Context, std *IO) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usagef("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // where everything is listened to, this is too
	}
	scheme, path := "http", "/readyz"
	transport := &http.Transport{DisableKeepAlives: true}
	if c.TLSCert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = onlyCertificate(c.TLSCert); err != nil {
			return err
		}
	}
	if c.Alive {
		path = "/healthz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	if len(c.Host) > 0 {
		request.Host = c.Host[0]
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", cmp.Or(context.Cause(ctx), err))
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %s", answer.Status)
	}
	fmt.Fprintln(std.Err, "The server is ready.")
	return nil
}

// onlyCertificate trusts the certificate in a file and no other, whatever names
// it is for.
func onlyCertificate(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyPeerCertificate is stricter
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			if len(chain) == 0 || !bytes.Equal(chain[0], block.Bytes) {
				return errors.New("the server has another certificate")
			}
			return nil
		},
	}, nil
}
