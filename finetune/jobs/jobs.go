package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"causerie/finetune"
	"causerie/finetune/files"
	"causerie/internal/sqlite"
	"causerie/models"
)

var (
	// ErrNotFound is the answer about what is not there, or is another owner's.
	ErrNotFound = sqlite.ErrNotFound
	// ErrAfter refuses a page that goes on after something that is not in the list.
	ErrAfter = sqlite.ErrAfter
	// ErrFull says that there is no room for more.
	ErrFull = sqlite.ErrFull
)

// Page is a piece of a list.
type Page = sqlite.Page

// Options of a Service. Files must be set.
type Options struct {
	// Folder is the data folder: jobs.db, and the folders jobs and models. Empty
	// is a temporary one, which Close removes.
	Folder string
	// Files has what jobs are trained on. The caller closes it, after the service.
	Files *files.Files
	// Base says where the model of a name is that jobs may begin with: a folder,
	// or models.Default. Nil knows the bundled model alone. Models that jobs have
	// made are known besides.
	Base func(name string) (folder string, ok bool)
	// Organization is the third part of the names of fine-tuned models;
	// "causerie" when empty.
	Organization string
	// Workers is how many jobs this process trains at a time: 1 when 0, none
	// when negative (others may).
	Workers int
	// Threads that a job computes on; all when 0.
	Threads int
	// SaveEvery is the most that a killed process costs a training; two minutes
	// when 0.
	SaveEvery time.Duration
	// Log is told what goes wrong; nil keeps quiet.
	Log *slog.Logger
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	if o.Base == nil {
		o.Base = func(name string) (string, bool) { return models.Default, name == models.Default }
	}
	o.Organization = cmp.Or(o.Organization, "causerie")
	o.Workers = max(0, cmp.Or(o.Workers, 1))
	o.SaveEvery = cmp.Or(o.SaveEvery, 2*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Validate says what makes the options unusable.
func (o Options) Validate() error {
	if o.Files == nil {
		return errors.New("jobs: Options.Files is nil")
	}
	if !nameLike(o.Organization) {
		return fmt.Errorf("jobs: the organization %q must be up to %d letters, digits, dashes, dots and underscores", o.Organization, maxSuffix)
	}
	return nil
}

// Names in the data folder.
const (
	databaseName = "jobs.db"
	jobsName     = "jobs"
	modelsName   = "models"
)

// databaseBytes is more than the events of a hundred thousand jobs take.
const databaseBytes = 8 << 30

// Service is a data folder's jobs and the models that came of them. Methods may
// be called from any goroutine, and several processes may have one folder open.
type Service struct {
	o         Options
	folder    string
	temporary bool
	db        *sqlite.DB
	queue     *river.Client[*sql.Tx]
	changes   *changes
	working   bool         // River has been started
	memory    func() int64 // that is left; 0: not known

	stop context.CancelFunc // ends the goroutines
	wait sync.WaitGroup
	once sync.Once // Close
	err  error     // of Close
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the jobs of a data folder, makes it if need be, and begins to work
// at them (see Options.Workers) and to watch what other processes do. Close it.
func Open(ctx context.Context, o Options) (*Service, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Service{o: o, folder: o.Folder, stop: func() {}, memory: finetune.AvailableMemory}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("jobs: %w", err), s.Close())
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) (err error) {
	if s.folder == "" {
		if s.folder, err = os.MkdirTemp("", "causerie-jobs-"); err != nil {
			return err
		}
		s.temporary = true
	}
	if s.folder, err = filepath.Abs(s.folder); err != nil {
		return err
	}
	for _, name := range []string{jobsName, modelsName} {
		if err := os.MkdirAll(filepath.Join(s.folder, name), 0o700); err != nil {
			return err
		}
	}
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if s.changes, err = watchChanges(running, s.db, s.o.Log, &s.wait); err != nil {
		return err
	}
	return s.startWork(running)
}

func (s *Service) openDatabase(ctx context.Context) error {
	schema, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	s.db, err = sqlite.Open(ctx, sqlite.Options{Folder: s.folder, Name: databaseName, MaxBytes: databaseBytes, Migrations: schema})
	if err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riversqlite.New(s.db.DB), &rivermigrate.Config{Logger: s.riverLog()})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// Close ends the work: a job that is being trained is saved, and whoever opens
// the folder next goes on with it.
func (s *Service) Close() error {
	s.once.Do(func() {
		s.err = s.StopWork(context.Background())
		s.stop()
		s.wait.Wait()
		if s.db != nil {
			s.err = errors.Join(s.err, s.db.Close())
		}
		if s.temporary {
			s.err = errors.Join(s.err, os.RemoveAll(s.folder))
		}
	})
	return s.err
}

func (s *Service) jobFolder(id string) string { return filepath.Join(s.folder, jobsName, id) }

func (s *Service) modelFolder(name string) string { return filepath.Join(s.folder, modelsName, name) }
