// Package load holds a server of OpenAI's API under load and judges it: many
// clients that stream replies at the same time, connections that only wait, and
// readers that take a byte a second.
//
//	report, err := load.Run(ctx, load.Options{URL: "http://127.0.0.1:8080", Clients: 100, Duration: time.Minute})
//	report.WriteTable(os.Stdout)
//	fmt.Println(report.Passed())
//
// Each client has a connection of its own, asks for one reply after the other
// and, when the server is busy, comes back after the time that the server
// asks for. An answer of 429 is thus no error; everything else that is not a
// whole reply is. Without a URL, Run serves the model itself, in a process of
// its own, as "causerie serve" does by default.
package load

import (
	"errors"
	"fmt"
	"time"
)

// Options of Run. The zero value but for URL or Self is usable.
type Options struct {
	// URL is the server; empty starts Self.
	URL string
	// Key is the API key to show it, if any. For the figures of /metrics it
	// must be one for admin.
	Key string
	// Self is this program's command line up to the flags of "serve". Flags
	// follow it.
	Self, Flags []string

	Clients  int           // that ask for replies; 0 means 1000
	Duration time.Duration // of asking; 0 means two minutes
	Tokens   int           // of each reply; 0 means 32
	Idle     int           // connections that wait between requests all the time
	Slow     int           // clients that read one byte a second

	// Patience is how long a client waits for a reply; 0 means ten minutes, as
	// OpenAI's clients do.
	Patience time.Duration
	// Drain is how long replies under way may take after Duration; 0 means 30
	// seconds. It is not part of what is measured.
	Drain time.Duration

	// Progress is told every second what goes on.
	Progress func(string)
	// Version of this program, for the report.
	Version string
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	for field, value := range map[*int]int{&o.Clients: 1000, &o.Tokens: 32} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*time.Duration]time.Duration{
		&o.Duration: 2 * time.Minute, &o.Patience: 10 * time.Minute, &o.Drain: 30 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// most of connections that one machine can have to one address.
const mostConnections = 50_000

// Validate says what makes the options unusable.
func (o *Options) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"clients", o.Clients, mostConnections}, {"idle connections", o.Idle, mostConnections},
		{"slow readers", o.Slow, mostConnections}, {"tokens of a reply", o.Tokens, 1 << 20},
		{"connections in all", o.connections(), mostConnections},
	} {
		if f.value < 0 || f.value > f.most {
			return fmt.Errorf("the number of %s must lie between 0 and %d, not %d", f.name, f.most, f.value)
		}
	}
	if o.Duration < 0 || o.Patience < 0 || o.Drain < 0 {
		return fmt.Errorf("a time is negative: %s, %s, %s", o.Duration, o.Patience, o.Drain)
	}
	if o.URL == "" && len(o.Self) == 0 {
		return errors.New("there is no server to put under load")
	}
	return nil
}

// connections is how many the run opens at the same time.
func (o *Options) connections() int { return o.Clients + o.Idle + o.Slow }

// spareFiles is what else a process has open.
const spareFiles = 64

// checkFiles says when this process may not open as many connections. The limit
// stays as it is: who set it had a reason.
func (o *Options) checkFiles() error {
	limit, ok := openFiles()
	if need := uint64(o.connections() + spareFiles); ok && need > limit {
		return fmt.Errorf("%d connections need %d open files, but this process may open only %d: raise the limit (ulimit -n) or ask for fewer",
			o.connections(), need, limit)
	}
	return nil
}
