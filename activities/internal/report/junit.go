package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// JUnit writes the XML that CI systems read (https://github.com/testmoapp/junitxml, and Jenkins'
// https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd): a suite of tests for the verdict, and one for each column
// under test with a test for each cell. What failed is a failure, what is errored an error, what was not run is skipped and fails the verdict;
// so is a case in quarantine that did not pass.
func JUnit(w io.Writer, r schemas.EvalResult) error {
	v, err := newView(r)
	if err != nil {
		return err
	}
	all := junitSuites{Name: tame(v.Suite), Suites: []junitSuite{verdictSuite(v)}}
	for _, c := range v.columns {
		if !c.Baseline {
			all.Suites = append(all.Suites, columnSuite(v, c))
		}
	}
	took, started := 0.0, time.UnixMilli(v.StartMS).UTC().Format("2006-01-02T15:04:05")
	for i, s := range all.Suites {
		all.Suites[i].Timestamp = started
		all.Tests, all.Failures, all.Errors, took = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, took+s.seconds
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

// The elements of the format, as far as it is used.
type (
	junitCounts struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
		seconds  float64
	}
	junitSuites struct { // which has no count of what was skipped in Jenkins' schema
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string `xml:"name,attr"`
		Timestamp string `xml:"timestamp,attr"` // of the run, in UTC
		junitCounts
		Cases []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

const (
	junitMessageBytes = 500
	junitTextBytes    = 4000
)

func verdictSuite(v *view) junitSuite {
	c := junitCase{Name: "verdict", Class: tame(v.Suite), Time: seconds(0)}
	if v.Ruling != schemas.RulingPassed {
		c.Failure = &junitMessage{Message: ruling(v.Ruling), Type: tame(string(v.Ruling)), Text: tame(strings.Join(v.Verdict.Reasons, "\n"))}
	}
	s := junitSuite{Name: tame(v.Suite) + " verdict"}
	s.add(c, 0)
	s.Time = seconds(0)
	return s
}

func columnSuite(v *view, c column) junitSuite {
	s := junitSuite{Name: tame(v.Suite) + " " + c.Name}
	for _, id := range v.cases {
		for _, i := range v.groups[place{id, c.Index}] {
			cell := v.Cells[i]
			ms := 0.0
			if cell.Answer != nil && cell.Answer.LatencyMS != nil {
				ms = *cell.Answer.LatencyMS
			}
			s.add(cellCase(v, cell, s.Name, ms), ms/1000)
		}
	}
	s.Time = seconds(s.seconds)
	return s
}

func (s *junitSuite) add(c junitCase, took float64) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	s.seconds += took
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func cellCase(v *view, cell schemas.CellRecord, class string, ms float64) junitCase {
	name := cell.Case.ID
	if title := titleOf(cell); title != "" {
		name += ": " + title
	}
	if len(v.groups[place{cell.Case.ID, cell.Column}]) > 1 {
		name += fmt.Sprintf(" (sample %d)", cell.Sample+1)
	}
	c := junitCase{Name: line(name, junitMessageBytes), Class: class, Time: seconds(ms / 1000)}
	message := &junitMessage{Message: line(cell.Reason, junitMessageBytes), Type: tame(string(cell.Code))}
	until := v.resting[cell.Case.ID]
	switch {
	case cell.State == schemas.CellScored && cell.Pass:
	case until != "":
		message.Message, message.Type = line(fmt.Sprintf("in quarantine until %s; it is %s: %s", until, outcome(cell), cell.Reason), junitMessageBytes), "quarantine"
		c.Skipped = message
	case cell.State == schemas.CellErrored:
		c.Error = message
	case cell.State == schemas.CellNotRun:
		message.Message = line("not run. "+cell.Reason, junitMessageBytes)
		c.Skipped = message
	default:
		message.Type, message.Text = "assertion", failureText(cell)
		c.Failure = message
	}
	return c
}

func outcome(cell schemas.CellRecord) string {
	if cell.State == schemas.CellScored {
		return map[bool]string{true: "passed", false: "failed"}[cell.Pass]
	}
	return stateName(cell)
}

// failureText is what the assertions say and what was answered.
func failureText(cell schemas.CellRecord) string {
	var out strings.Builder
	for _, a := range cell.Assertions {
		if !a.Pass {
			fmt.Fprintf(&out, "%s: %s\n", a.Type, a.Reason)
		}
	}
	if cell.Answer != nil {
		fmt.Fprintf(&out, "answered: %s\n", outputText(cell.Answer.Output))
	}
	return tame(clip(out.String(), junitTextBytes))
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
