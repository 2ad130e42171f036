package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tenuto-dev/tenuto/schemas"
)

// caseFile is a JSONL file of cases that is only added to, and beside it the ids of those that nobody wants.
type caseFile struct {
	name     string
	known    map[string]bool // ids, by the variables
	declined map[string]bool // likewise
	out, no  *os.File        // opened when there is something to write
	ends     bool            // the last line of the file has an end
}

// openCases reads what is there. Error: invalid for a file that is none of cases, with its line.
func openCases(name string) (*caseFile, error) {
	f := &caseFile{name: name, known: map[string]bool{}, declined: map[string]bool{}, ends: true}
	data, err := readIfThere(name)
	if err != nil {
		return nil, err
	}
	f.ends = len(data) == 0 || data[len(data)-1] == '\n'
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var known struct {
			Vars json.RawMessage `json:"vars"`
		}
		if err := json.Unmarshal(line, &known); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "%s:%d is no case: a line is one JSON object with vars; mend it, or name another file with --out", name, i+1)
		}
		if vars, ok := varsOf(known.Vars); ok {
			content, err := json.Marshal(vars)
			if err != nil {
				return nil, err
			}
			f.known[caseID(content)] = true
		}
	}
	if data, err = readIfThere(name + ".declined"); err != nil {
		return nil, err
	}
	for id := range strings.FieldsSeq(string(data)) {
		f.declined[id] = true
	}
	return f, nil
}

func readIfThere(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, schemas.Wrap(schemas.Invalid, err, "%s cannot be read; check its permissions", name)
	}
	return data, nil
}

func (f *caseFile) knows(id string) bool { return f.known[id] || f.declined[id] }

// add writes a case at the end of the file, durably; false where one with the same variables is there.
func (f *caseFile) add(c collectedCase) (bool, error) {
	if f.known[c.Metadata.ID] {
		return false, nil
	}
	line, err := jsonLine(c)
	if err != nil {
		return false, err
	}
	if !f.ends {
		line = append([]byte("\n"), line...)
	}
	f.known[c.Metadata.ID], f.ends = true, true
	return true, appendTo(&f.out, f.name, line)
}

// decline has a case never proposed again.
func (f *caseFile) decline(id string) error {
	f.declined[id] = true
	return appendTo(&f.no, f.name+".declined", []byte(id+"\n"))
}

func appendTo(file **os.File, name string, data []byte) (err error) {
	if *file == nil {
		if *file, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err != nil { //nolint:gosec // people share it with Git
			return schemas.Wrap(schemas.Invalid, err, "%s cannot be written; check its folder and permissions", name)
		}
	}
	if _, err = (*file).Write(data); err == nil {
		err = (*file).Sync()
	}
	if err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "%s cannot be written; is the disk full?", name)
	}
	return nil
}

func (f *caseFile) close() {
	for _, file := range []*os.File{f.out, f.no} {
		if file != nil {
			_ = file.Close() // what was written is synced
		}
	}
}

func jsonLine(v any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return line.Bytes(), err
}

// propose writes what is proposed for a person to decide in an editor. A file that is there stays as it is.
func (c collectCases) propose(s *session, proposed []proposedCase, counts collected) error {
	var all bytes.Buffer
	for _, p := range proposed {
		line, err := jsonLine(p)
		if err != nil {
			return err
		}
		all.Write(line)
	}
	file, err := os.OpenFile(c.Propose, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // people share it
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "%s cannot be made: it is there already, or its folder is not", c.Propose)
	}
	_, err = file.Write(all.Bytes())
	if err = errors.Join(err, file.Close()); err != nil {
		return schemas.Wrap(schemas.Unavailable, err, "%s cannot be written; is the disk full?", c.Propose)
	}
	counts.Out = c.Propose
	return s.print(counts, func(w io.Writer) {
		fmt.Fprintf(w, "%s proposed in %s: set \"accept\" to true, then: tenuto eval collect --chain %s --review %[2]s --out %[4]s\n", counted(counts.Proposed, "case"), c.Propose, c.Chain, c.Out)
	})
}

// reviewed reads what a person accepted of a file of proposals.
func reviewed(name string) ([]proposedCase, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, schemas.Wrap(schemas.NotFound, err, "%s cannot be read; \"tenuto eval collect --propose FILE\" writes one", name)
	}
	var accepted []proposedCase
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var p proposedCase
		err := json.Unmarshal(line, &p)
		vars, ok := varsOf(p.Case.Vars)
		if err != nil || !ok {
			return nil, schemas.Wrap(schemas.Invalid, err, "%s:%d is no proposal: a line is one JSON object, with a case that has vars", name, i+1)
		}
		if !p.Accept {
			continue
		}
		content, err := json.Marshal(vars)
		if err != nil {
			return nil, err
		}
		p.Case.Vars, p.Case.Metadata.ID = content, caseID(content)
		accepted = append(accepted, p)
	}
	return accepted, nil
}

// askAbout shows each case and keeps what is said to it. It ends when the person does, and on an interrupt.
func askAbout(s *session, cases *caseFile, proposed []proposedCase, counts *collected) error {
	if file, ok := s.stdin.(*os.File); ok && len(proposed) > 0 && !term.IsTerminal(int(file.Fd())) {
		return schemas.Errorf(schemas.Invalid, "there is no terminal to ask at: use --accept-all, or --propose FILE and then --review FILE")
	}
	answers := linesOf(s.stdin)
	screen := harmless(s.stderr)
	for i, p := range proposed {
		fmt.Fprintf(screen, "\n%d of %d, run %s: %s\ninput   %s\noutput  %s\n", i+1, len(proposed), p.Case.Metadata.Run, p.Why, brief(string(p.Case.Vars)), p.Output)
		for _, a := range p.Case.Assert {
			fmt.Fprintf(screen, "assert  %s: %v\n", a.Type, a.Value)
		}
		answer, err := askOnce(s, screen, answers)
		switch {
		case err != nil:
			return err
		case answer == "y":
			err = counts.add(cases, p)
		case answer == "n":
			counts.Declined++
			err = cases.decline(p.Case.Metadata.ID)
		case answer == "q":
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// askOnce waits for y, n, s or q; the end of the input is q.
func askOnce(s *session, screen io.Writer, answers <-chan string) (string, error) {
	for {
		fmt.Fprint(screen, "keep it? (y)es, (n)ever, (s)kip, (q)uit: ")
		select {
		case <-s.ctx.Done():
			return "", s.ctx.Err()
		case line, more := <-answers:
			if !more {
				return "q", nil
			}
			if word := strings.ToLower(strings.TrimSpace(line)); word != "" && strings.Contains("ynsq", word[:1]) {
				return word[:1], nil
			}
		}
	}
}

// linesOf reads lines as they come. A read that waits when the command ends is left behind.
func linesOf(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		if r == nil {
			return
		}
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}
