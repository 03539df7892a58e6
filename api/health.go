package api

import "net/http"

// healthz says that the process lives and answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether requests can be answered now.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	status, state := http.StatusOK, "ready"
	switch {
	case s.stopping.Load():
		status, state = http.StatusServiceUnavailable, "stopping"
	case s.catalog.first() == nil:
		status, state = http.StatusServiceUnavailable, "loading"
	}
	tellRetry(w.Header(), retryAfter[status])
	writeJSON(w, status, map[string]string{"status": state})
}
