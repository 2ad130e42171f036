// Package archive writes the runs of a day into files: Parquet for queries, JSON lines for everything.
package archive

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// The formats.
const (
	Parquet = "parquet"
	JSONL   = "jsonl"
)

// Path of the file of a day in a format.
func Path(dir string, day time.Time, format string) string {
	return filepath.Join(dir, "runs-"+day.Format(time.DateOnly)+"."+format)
}

// Writer writes the runs of one day. Until Close its files have other names, so that a file with its own name is whole.
type Writer struct {
	files []file
}

// file is one format on its way.
type file struct {
	path, partial string
	handle        *os.File
	sink          sink
}

// sink writes runs in one format.
type sink interface {
	write(run Run) error
	close() error
}

// Run is a run as it is archived.
type Run struct {
	rest.ExportedRun
	exchange schemas.Exchange
}

// Read decodes an exported run; false for one whose record is none.
func Read(exported rest.ExportedRun) (run Run, ok bool) {
	run.ExportedRun = exported
	return run, json.Unmarshal(exported.Record, &run.exchange) == nil
}

// Create begins the files of a day in a folder that exists.
func Create(dir string, day time.Time, formats []string) (*Writer, error) {
	w := &Writer{}
	for _, format := range formats {
		path := Path(dir, day, format)
		f := file{path: path, partial: filepath.Join(dir, "."+filepath.Base(path)+".partial")}
		var err error
		if f.handle, err = os.Create(f.partial); err != nil {
			w.Discard()
			return nil, schemas.Wrap(schemas.Invalid, err, "%s cannot be written; name another folder with --out", f.partial)
		}
		if f.sink = newLines(f.handle); format == Parquet {
			f.sink = newRows(f.handle)
		}
		w.files = append(w.files, f)
	}
	return w, nil
}

// Write adds a run to each file.
func (w *Writer) Write(run Run) error {
	for _, f := range w.files {
		if err := f.sink.write(run); err != nil {
			return full(f.partial, err)
		}
	}
	return nil
}

// Close finishes the files and gives them their names. It returns their paths.
func (w *Writer) Close() (paths []string, err error) {
	for _, f := range w.files {
		err = errors.Join(f.sink.close(), f.handle.Sync(), f.handle.Close())
		if err != nil {
			w.Discard()
			return nil, full(f.partial, err)
		}
	}
	for _, f := range w.files {
		if err := os.Rename(f.partial, f.path); err != nil {
			w.Discard()
			return nil, full(f.path, err)
		}
		paths = append(paths, f.path)
	}
	return paths, nil
}

// Discard removes what Close has not finished.
func (w *Writer) Discard() {
	for _, f := range w.files {
		_ = f.handle.Close()
		_ = os.Remove(f.partial)
	}
}

func full(path string, err error) error {
	return schemas.Wrap(schemas.OverBudget, err, "%s cannot be written; is the disk full?", path)
}

// lines writes the whole record of each run as a line of JSON.
type lines struct{ w *bufio.Writer }

func newLines(f *os.File) *lines { return &lines{bufio.NewWriterSize(f, 1<<20)} }

// write adds to the record what stands beside it: the output if the record only points to it, and the feedback, the oldest first.
func (l *lines) write(run Run) error {
	record := run.Record[:len(run.Record)-1] // without its last brace; the gateway sends JSON without blanks
	if _, err := l.w.Write(record); err != nil {
		return err
	}
	for _, beside := range []struct {
		name  string
		value any
		there bool
	}{{"output", run.Output, len(run.Output) > 0}, {"feedback", run.Feedback, len(run.Feedback) > 0}} {
		if !beside.there {
			continue
		}
		data, err := json.Marshal(beside.value)
		if err != nil {
			return err
		}
		if _, err := l.w.WriteString(`,"` + beside.name + `":` + string(data)); err != nil {
			return err
		}
	}
	_, err := l.w.WriteString("}\n")
	return err
}

func (l *lines) close() error { return l.w.Flush() }
