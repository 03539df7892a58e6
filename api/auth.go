package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"causerie/api/store"
)

// A scope is what an API key may be used for.
const (
	ScopeChat     = "chat"     // chats, completions, conversations
	ScopeEmbed    = "embed"    // embeddings
	ScopeFinetune = "finetune" // training
	ScopeAdmin    = "admin"    // everything, and what concerns the server itself
)

// Scopes are all there are.
var Scopes = []string{ScopeChat, ScopeEmbed, ScopeFinetune, ScopeAdmin}

type keyKey struct{}

// keyOf is the API key that a request came with, if keys are asked for.
func keyOf(r *http.Request) (store.Key, bool) {
	k, ok := r.Context().Value(keyKey{}).(store.Key)
	return k, ok
}

// owner is whose things a request may see: those of its key's owner, or the
// nameless owner's where no keys are asked for.
func owner(r *http.Request) string {
	k, _ := keyOf(r)
	return k.Owner
}

// authenticated lets requests with a good API key through, or all of them when
// keys are not asked for.
func (s *Server) authenticated(next http.Handler) http.Handler {
	if !s.options.Auth {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, err := s.authenticate(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, r, err)
			return
		}
		note(r, func(n *requestNote) { n.key = k.ID })
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyKey{}, k)))
	})
}

func (s *Server) authenticate(r *http.Request) (store.Key, error) {
	refusal := &Error{
		Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key",
		Message: "the API key is wrong or revoked",
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || secret == "" {
		refusal.Message = `this server asks for an API key: send the header "Authorization: Bearer KEY"`
		return store.Key{}, refusal
	}
	k, err := s.options.Store.KeyBySecret(r.Context(), secret)
	if errors.Is(err, store.ErrNotFound) {
		return store.Key{}, refusal
	}
	return k, err
}

// allowed lets requests through whose key has the scope.
func (s *Server) allowed(scope string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			k, ok := keyOf(r)
			if ok && !slices.Contains(k.Scopes, scope) && !slices.Contains(k.Scopes, ScopeAdmin) {
				fail(w, r, &Error{
					Status: http.StatusForbidden, Type: "invalid_request_error", Code: "insufficient_scope",
					Message: fmt.Sprintf("this API key is for %s; the request needs %s", strings.Join(k.Scopes, ", "), scope),
				})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
