package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"causerie/api"
	"causerie/api/store"
)

// KeysCmd manages the API keys that a server asks for.
type KeysCmd struct {
	Create KeysCreateCmd `cmd:"" help:"Make an API key and print its secret, once."`
	List   KeysListCmd   `cmd:"" help:"List the API keys, without their secrets."`
	Revoke KeysRevokeCmd `cmd:"" help:"End an API key, at once and for good."`
}

// dataFlag names the folder that a server keeps its data in.
type dataFlag struct {
	Data string `required:"" placeholder:"DIR" help:"The server's data folder, as in serve --data."`
}

// with opens the folder's store for f.
func (d *dataFlag) with(ctx context.Context, f func(*store.Store) error) error {
	s, err := store.Open(ctx, store.Options{Folder: d.Data})
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// KeysCreateCmd makes a key.
type KeysCreateCmd struct {
	dataFlag
	Name  string   `config:"-" help:"What people call the key, such as where it is used."`
	Owner string   `config:"-" help:"Whose stored completions and conversations the key opens; keys of one owner share them (default: the key's own)."`
	Scope []string `config:"-" default:"chat,embed" enum:"chat,embed,finetune,admin" help:"What it is for (${enum}); admin is for everything."`
}

// Run prints the secret to the output and everything about it beside.
func (c *KeysCreateCmd) Run(ctx context.Context, std *IO) error {
	for _, field := range []struct{ name, value string }{{"name", c.Name}, {"owner", c.Owner}} {
		if len(field.value) > 200 || strings.ContainsFunc(field.value, func(r rune) bool { return r < ' ' }) {
			return usagef("--%s: up to 200 bytes without control characters", field.name)
		}
	}
	slices.SortFunc(c.Scope, func(a, b string) int { return slices.Index(api.Scopes, a) - slices.Index(api.Scopes, b) })
	return c.with(ctx, func(s *store.Store) error {
		k, secret, err := s.AddKey(ctx, c.Name, c.Owner, slices.Compact(c.Scope))
		if err != nil {
			return err
		}
		fmt.Fprintln(std.Out, secret)
		fmt.Fprintf(std.Err, "This is %s, for %s. It is shown this once; only a hash of it is kept.\n", k.ID, strings.Join(k.Scopes, ", "))
		return nil
	})
}

// KeysListCmd lists keys.
type KeysListCmd struct{ dataFlag }

// Run prints a table.
func (c *KeysListCmd) Run(ctx context.Context, std *IO) error {
	return c.with(ctx, func(s *store.Store) error {
		keys, err := s.Keys(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKEY\tNAME\tOWNER\tSCOPES\tCREATED\tREVOKED")
		for _, k := range keys {
			revoked := "-"
			if !k.Revoked.IsZero() {
				revoked = k.Revoked.Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Hint, k.Name, k.Owner, strings.Join(k.Scopes, ","), k.Created.Format(time.DateTime), revoked)
		}
		return w.Flush()
	})
}

// KeysRevokeCmd ends a key.
type KeysRevokeCmd struct {
	dataFlag
	ID string `arg:"" help:"The key's id, key_…, as keys list shows it."`
}

// Run revokes it; a running server knows at once.
func (c *KeysRevokeCmd) Run(ctx context.Context, std *IO) error {
	return c.with(ctx, func(s *store.Store) error {
		err := s.RevokeKey(ctx, c.ID)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("there is no key %s in force in %s", c.ID, c.Data)
		}
		if err == nil {
			fmt.Fprintf(std.Err, "%s is revoked.\n", c.ID)
		}
		return err
	})
}
