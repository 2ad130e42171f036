package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	maxHits = 1000
	// chunksPerDocument is how many chunks are asked for to fill one line of a run, because several may be of one document.
	chunksPerDocument = 3
)

// readQueries reads a JSONL file whose lines have _id and text. Error: invalid, naming the line.
func readQueries(path string) ([]rest.SearchQuery, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "%s cannot be read", path)
	}
	defer file.Close()
	queries, err := parseQueries(file)
	if err == nil && len(queries) == 0 {
		err = errors.New("it holds no query")
	}
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "%s: %v", path, err)
	}
	return queries, nil
}

func parseQueries(r io.Reader) ([]rest.SearchQuery, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var queries []rest.SearchQuery
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\xef\xbb\xbf")))
		if len(line) == 0 {
			continue
		}
		var query struct {
			ID   string `json:"_id"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal(line, &query); err != nil || query.ID == "" || query.Text == "" {
			return nil, fmt.Errorf("line %d is no JSON object with _id and text", number)
		}
		queries = append(queries, rest.SearchQuery{ID: query.ID, Text: query.Text})
	}
	return queries, lines.Err()
}

// writeTrec writes a run in the format of trec_eval, "query Q0 document rank score tag": a document stands at the place of its best
// chunk, at most limit of a query. Scores are made to fall strictly with the rank, because trec_eval sorts by score and breaks ties by
// name. It returns how many lines it wrote.
func writeTrec(w io.Writer, results []rest.SearchResult, limit int, tag string) (lines int, err error) {
	out := bufio.NewWriter(w)
	for _, result := range results {
		seen := make(map[string]bool)
		before := 0.0
		for _, hit := range result.Hits {
			if seen[hit.Document] || len(seen) == limit {
				continue
			}
			score := hit.Score
			if len(seen) > 0 && score >= before {
				score = before - 1e-6
			}
			seen[hit.Document], before = true, score
			fmt.Fprintf(out, "%s Q0 %s %d %.6f %s\n", word(result.ID), word(hit.Document), len(seen), score, tag)
			lines++
		}
	}
	return lines, out.Flush()
}

// word makes an id one word, as the format needs.
func word(id string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "\t", "%09").Replace(id)
}
