package files

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"causerie/internal/sqlite"
)

var (
	// ErrNotFound is the answer about what is not there, or is another owner's.
	ErrNotFound = sqlite.ErrNotFound
	// ErrAfter refuses a page that goes on after something that is not in the list.
	ErrAfter = sqlite.ErrAfter
	// ErrGone says that a file has lost its content, which somebody must have
	// taken out of the bucket.
	ErrGone = errors.New("files: the content has gone from where the server keeps it; upload it again")
	// ErrFull says that there is no room for more.
	ErrFull = sqlite.ErrFull
)

// Page is a piece of a list.
type Page = sqlite.Page

// DefaultMaxBytes is how large a file may be when Options do not say.
const DefaultMaxBytes = 512 << 20

// Options of Files. The zero value keeps everything in memory.
type Options struct {
	// Folder holds the records, files.db, and the files, in files/. Empty keeps
	// both in memory.
	Folder string
	// Bucket is the URL of another place for the files: "file:///srv/files",
	// "mem://". Schemes are those that the program imports a driver for.
	Bucket string
	// MaxBytes is how large a file may be; DefaultMaxBytes when 0.
	MaxBytes int64
}

// Names in the data folder.
const (
	databaseName = "files.db"
	bucketName   = "files"
	uploadsName  = "uploads" // the locks of files that are being written
)

// databaseBytes is more than the records of a million files take.
const databaseBytes = 1 << 30

// Files are uploaded files. Methods may be called from any goroutine, and
// several processes may have one data folder open.
type Files struct {
	o      Options
	db     *sqlite.DB
	bucket *blob.Bucket
	local  string // the folder of the bucket, when it is ours
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the files of a data folder, and makes it if need be. Close them.
func Open(ctx context.Context, o Options) (*Files, error) {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	schema, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	f := &Files{o: o}
	f.db, err = sqlite.Open(ctx, sqlite.Options{Folder: o.Folder, Name: databaseName, MaxBytes: databaseBytes, Migrations: schema})
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	if err = f.openBucket(ctx); err == nil {
		err = f.sweep(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("files: %w", err), f.Close())
	}
	return f, nil
}

func (f *Files) openBucket(ctx context.Context) (err error) {
	if f.o.Folder != "" {
		if err := os.MkdirAll(filepath.Join(f.o.Folder, uploadsName), 0o700); err != nil {
			return err
		}
	}
	switch {
	case f.o.Bucket != "":
		f.bucket, err = blob.OpenBucket(ctx, f.o.Bucket)
	case f.o.Folder == "":
		f.bucket = memblob.OpenBucket(nil)
	default:
		f.local = filepath.Join(f.o.Folder, bucketName)
		if err := os.MkdirAll(f.local, 0o700); err != nil {
			return err
		}
		f.bucket, err = fileblob.OpenBucket(f.local, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	}
	return err
}

// MaxBytes is how large a file may be.
func (f *Files) MaxBytes() int64 { return f.o.MaxBytes }

// Close ends the use of the files.
func (f *Files) Close() error {
	var errs []error
	if f.bucket != nil {
		errs = append(errs, f.bucket.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	return errors.Join(errs...)
}
