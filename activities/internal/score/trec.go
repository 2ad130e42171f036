package score

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// maxLine bounds a line of the formats here, in bytes.
const maxLine = 1 << 20

// ReadQrels reads relevance judgements in either usual layout: TREC's "query iteration document grade", separated by white space,
// or BEIR's "query document grade", separated by tabs, where a first line whose grade is no number is the header. A judgement that is
// repeated with another grade is an error. Error: invalid, with the line.
func ReadQrels(r io.Reader) (Qrels, error) {
	qrels := Qrels{}
	err := eachLine(r, func(number int, fields []string) error {
		if len(fields) != 3 && len(fields) != 4 {
			return fmt.Errorf("has %d columns, not 3 (BEIR) or 4 (TREC)", len(fields))
		}
		query, document := fields[0], fields[len(fields)-2]
		grade, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil && number == 1 {
			return nil // the header
		}
		if err != nil {
			return fmt.Errorf("has the grade %q, which is not a whole number", fields[len(fields)-1])
		}
		return qrels.add(query, document, grade)
	})
	return qrels, err
}

func (q Qrels) add(query, document string, grade int) error {
	if q[query] == nil {
		q[query] = map[string]int{}
	}
	if known, ok := q[query][document]; ok && known != grade {
		return fmt.Errorf("judges document %q of query %q again, %d after %d", document, query, grade, known)
	}
	q[query][document] = grade
	return nil
}

// ReadRun reads a TREC run file: "query Q0 document rank score tag" on each line, separated by white space. The rank is not looked
// at. Error: invalid, with the line.
func ReadRun(r io.Reader) (Run, error) {
	run := Run{}
	err := eachLine(r, func(_ int, fields []string) error {
		if len(fields) != 6 {
			return fmt.Errorf("has %d columns, not 6 (query Q0 document rank score tag)", len(fields))
		}
		score, err := strconv.ParseFloat(fields[4], 64)
		if err != nil || math.IsNaN(score) {
			return fmt.Errorf("has the score %q, which is not a number", fields[4])
		}
		run[fields[0]] = append(run[fields[0]], Ranked{Document: fields[2], Score: score})
		return nil
	})
	return run, err
}

// eachLine calls do with the number, from 1, and the columns of each line that is not empty.
func eachLine(r io.Reader, do func(number int, fields []string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if err := do(number, fields); err != nil {
			return schemas.Errorf(schemas.Invalid, "line %d %s", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return schemas.Wrap(schemas.Invalid, err, "line %d could not be read", number+1)
	}
	return nil
}

// WriteRun writes run as a TREC run file under tag: queries in order of their ids, documents from rank 1 by score as [Evaluate]
// ranks them. Ids and tag must have no white space and not be empty, because the format separates by it; error: invalid.
func WriteRun(w io.Writer, run Run, tag string) error {
	out := bufio.NewWriter(w)
	for _, query := range sortedKeys(run) {
		for i, hit := range order(run[query]) {
			if err := checkFields(query, hit.Document, tag); err != nil {
				return err
			}
			score := strconv.FormatFloat(hit.Score, 'g', -1, 64)
			if _, err := fmt.Fprintf(out, "%s Q0 %s %d %s %s\n", query, hit.Document, i+1, score, tag); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func checkFields(fields ...string) error {
	for _, field := range fields {
		if len(strings.Fields(field)) != 1 || strings.Fields(field)[0] != field {
			return schemas.Errorf(schemas.Invalid, "%q cannot stand in a run file: it is empty or has white space", field)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
