package load

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Schema names the form of a Report in JSON. Fields may be added under this
// name; none changes its meaning or goes.
const Schema = "causerie.load/1"

// Report is how a server did.
type Report struct {
	Schema   string    `json:"schema"`
	Version  string    `json:"version,omitempty"` // of the program that asked
	Started  time.Time `json:"started"`
	Clients  int       `json:"clients"`
	Idle     int       `json:"idle"`
	Slow     int       `json:"slow"`
	Tokens   int       `json:"tokens"`  // that each reply was to have
	Seconds  float64   `json:"seconds"` // of asking; what ended later does not count
	MaxFiles uint64    `json:"max_files,omitempty"`

	Requests Requests `json:"requests"`
	Latency  Latency  `json:"latency"`
	Fairness Fairness `json:"fairness"`
	Server   Server   `json:"server"`

	// Failures are the reasons why the server did not hold; none is good.
	Failures []string `json:"failures"`
	// Open are things that this run could not judge, with the reason.
	Open []string `json:"open,omitempty"`
}

// Requests counts how they ended.
type Requests struct {
	Replies      int            `json:"replies"` // whole ones
	Tokens       int            `json:"tokens"`  // of these
	TokensPerSec float64        `json:"tokens_per_second"`
	PerSec       float64        `json:"replies_per_second"`
	Refused      int            `json:"refused"`          // answers of 429
	Late         int            `json:"late"`             // cut off by this program after the end
	Errors       map[string]int `json:"errors,omitempty"` // by kind
	IdleAsked    int            `json:"idle_asked,omitempty"`
	IdleAlive    int            `json:"idle_alive,omitempty"` // of these; they answered again after the load
	SlowBytes    int            `json:"slow_bytes,omitempty"` // that slow readers read
	SlowDropped  int            `json:"slow_dropped,omitempty"`
	SlowLast     string         `json:"slow_last,omitempty"` // why the last one was
}

// Latency is in milliseconds.
type Latency struct {
	// FirstToken is from the request that was accepted to the first text,
	// FromFirstTry the same with the time of being refused before.
	FirstToken   Percentiles `json:"first_token"`
	FromFirstTry Percentiles `json:"from_first_try"`
	// PerToken is the time between tokens: of each reply after its first one.
	PerToken Percentiles `json:"per_token"`
}

// Percentiles of samples, by the nearest rank.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Fairness is how tokens were spread over clients, in shares of what each
// would have got if all had got the same.
type Fairness struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	// Jain is (Σx)² / (n·Σx²), 1 when all got the same and 1/n when one got all.
	// Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination for
	// Resource Allocation in Shared Computer Systems, 1984.
	Jain float64 `json:"jain"`
}

// Sample is what a server's /metrics said at a moment.
type Sample struct {
	Seconds    float64 `json:"seconds"`
	Resident   int64   `json:"resident"` // bytes
	Heap       int64   `json:"heap"`     // bytes in use by Go
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"`
}

// Server is how the server's process fared.
type Server struct {
	URL     string   `json:"url"`
	Model   string   `json:"model"`
	Unknown string   `json:"unknown,omitempty"` // why the rest is not known
	Before  Sample   `json:"before"`
	After   Sample   `json:"after"`
	Samples []Sample `json:"samples"`
	PerIdle int64    `json:"per_idle,omitempty"` // bytes of memory that an idle connection takes
	Exit    string   `json:"exit,omitempty"`     // what was wrong when it stopped
}

func newReport(o *Options) *Report {
	limit, _ := openFiles()
	return &Report{
		Schema: Schema, Version: o.Version, Started: time.Now(), Clients: o.Clients, Idle: o.Idle, Slow: o.Slow, Tokens: o.Tokens, MaxFiles: limit,
		Failures: []string{},
	}
}

// orNothing judges the report, if there is something in it.
func (r *Report) orNothing(err error) (*Report, error) {
	if r.Seconds == 0 {
		return nil, err
	}
	r.judge()
	return r, err
}

// Passed reports whether the server held.
func (r *Report) Passed() bool { return len(r.Failures) == 0 }

// tally puts together what the clients have noted.
func (r *Report) tally(clients []*client, slow []*slowReader, asked time.Duration) {
	r.Seconds = asked.Seconds()
	var first, start, per []float64
	shares := make([]float64, 0, len(clients))
	for _, c := range clients {
		tokens := 0
		for _, s := range c.done {
			if s.end > asked {
				continue
			}
			tokens += s.tokens
			r.Requests.Replies++
			first, start = append(first, ms(s.first)), append(start, ms(s.fromStart))
			if s.tokens > 1 {
				per = append(per, ms(s.total-s.first)/float64(s.tokens-1))
			}
		}
		r.Requests.Tokens += tokens
		shares = append(shares, float64(tokens))
		r.Requests.Refused += int(c.refused.Load())
		r.Requests.Late += c.late
		for kind, n := range c.errs {
			r.fail(kind, n)
		}
	}
	for _, s := range slow {
		r.Requests.SlowBytes += s.read
		r.Requests.SlowDropped += s.dropped
		if s.err != nil {
			r.Requests.SlowLast = kind(s.err)
		}
	}
	r.Requests.TokensPerSec, r.Requests.PerSec = float64(r.Requests.Tokens)/r.Seconds, float64(r.Requests.Replies)/r.Seconds
	r.Latency = Latency{percentiles(first), percentiles(start), percentiles(per)}
	r.Fairness = fairness(shares)
}

func (r *Report) fail(kind string, n int) {
	if r.Requests.Errors == nil {
		r.Requests.Errors = map[string]int{}
	}
	r.Requests.Errors[kind] += n
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func percentiles(samples []float64) Percentiles {
	if len(samples) == 0 {
		return Percentiles{}
	}
	slices.Sort(samples)
	at := func(p float64) float64 { return samples[max(0, int(math.Ceil(p*float64(len(samples))))-1)] }
	return Percentiles{at(0.5), at(0.9), at(0.99), samples[len(samples)-1]}
}

func fairness(shares []float64) Fairness {
	sum, squares := 0.0, 0.0
	for _, x := range shares {
		sum += x
		squares += x * x
	}
	if sum == 0 {
		return Fairness{}
	}
	n := float64(len(shares))
	slices.Sort(shares)
	equal := sum / n
	return Fairness{
		Min: shares[0] / equal, Median: shares[len(shares)/2] / equal, Max: shares[len(shares)-1] / equal, Jain: sum * sum / (n * squares),
	}
}

// idle works out what a connection takes.
func (s *Server) idle(before, after Sample, n int) {
	if before.Resident > 0 && after.Resident > 0 {
		s.PerIdle = (after.Resident - before.Resident) / int64(n)
	}
}

// leftGoroutines are those that were not there before.
func (s *Server) leftGoroutines() int { return s.After.Goroutines - s.Before.Goroutines }

// peak is the most that was sampled.
func (s *Server) peak() (p Sample) {
	for _, x := range append(slices.Clone(s.Samples), s.Before, s.After) {
		p.Resident, p.Heap = max(p.Resident, x.Resident), max(p.Heap, x.Heap)
		p.Goroutines, p.Files = max(p.Goroutines, x.Goroutines), max(p.Files, x.Files)
	}
	return p
}

// growth is by how many bytes the memory of the last quarter of the time
// exceeds that of the second; false when there are too few samples.
func (s *Server) growth() (int64, bool) {
	n := len(s.Samples)
	if n < 16 {
		return 0, false
	}
	median := func(samples []Sample) int64 {
		resident := make([]int64, len(samples))
		for i, x := range samples {
			resident[i] = x.Resident
		}
		slices.Sort(resident)
		return resident[len(resident)/2]
	}
	return median(s.Samples[n-n/4:]) - median(s.Samples[n/4:n/2]), true
}

// errorLines are the errors, most frequent first.
func (r *Requests) errorLines() (lines []string) {
	kinds := slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int { return r.Errors[b] - r.Errors[a] })
	for _, k := range kinds {
		lines = append(lines, fmt.Sprintf("%d times %s", r.Errors[k], k))
	}
	return lines
}
