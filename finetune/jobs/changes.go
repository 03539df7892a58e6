package jobs

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"causerie/internal/sqlite"
)

// pollInterval is how soon what other processes do is noticed.
const pollInterval = 200 * time.Millisecond

// changes tells everybody who waits that the database may have changed: at once
// when this process changed it, soon when another did.
type changes struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change
}

// watchChanges polls until ctx ends.
func watchChanges(ctx context.Context, db *sqlite.DB, log *slog.Logger, wait *sync.WaitGroup) (*changes, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &changes{next: make(chan struct{})}
	wait.Go(func() {
		defer conn.Close() // it only read
		c.poll(ctx, conn, log)
	})
	return c, nil
}

// poll asks SQLite whether other connections than this one have written.
func (c *changes) poll(ctx context.Context, conn *sql.Conn, log *slog.Logger) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var version int64
		if err := conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
			if ctx.Err() == nil {
				log.Error("watching the jobs", "error", err)
			}
			continue
		}
		if version != last {
			last = version
			c.announce()
		}
	}
}

// announce wakes everybody who waits.
func (c *changes) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// after is closed at the next change. Ask for it first and look second.
func (c *changes) after() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}
