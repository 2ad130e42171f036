package archive

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	groupRows  = 5000
	groupBytes = 16 << 20 // of a row group in memory
)

// row is a run in Parquet. Columns are added, never renamed; starter/README.md describes them. What is null is unknown or was not given.
type row struct {
	RunID           string        `parquet:"run_id"`
	Tenant          string        `parquet:"tenant,dict"`
	Chain           string        `parquet:"chain,dict"`
	Release         *string       `parquet:"release,optional,dict"`
	Label           *string       `parquet:"label,optional,dict"`
	Status          string        `parquet:"status,dict"`
	Verdict         *string       `parquet:"verdict,optional,dict"`
	FailureCode     *string       `parquet:"failure_code,optional,dict"`
	FailureMessage  *string       `parquet:"failure_message,optional"`
	StartTime       int64         `parquet:"start_time,timestamp(millisecond)"`
	EndTime         int64         `parquet:"end_time,timestamp(millisecond)"`
	TookMS          int64         `parquet:"took_ms"`
	Lane            bool          `parquet:"lane"`
	Retries         int32         `parquet:"retries"`
	Steps           int32         `parquet:"steps"`
	ModelCalls      int64         `parquet:"model_calls"`
	InputTokens     int64         `parquet:"input_tokens"`
	OutputTokens    int64         `parquet:"output_tokens"`
	CachedTokens    int64         `parquet:"cached_tokens"`
	ReasoningTokens int64         `parquet:"reasoning_tokens"`
	CostUSD         *float64      `parquet:"cost_usd,optional"`
	KnownCostUSD    float64       `parquet:"known_cost_usd"`
	UnknownCalls    int32         `parquet:"unknown_cost_calls"`
	Models          []string      `parquet:"models,list"`
	Input           *string       `parquet:"input,optional"`
	Output          *string       `parquet:"output,optional"`
	Feedback        []feedbackRow `parquet:"feedback,list"`
}

type feedbackRow struct {
	ID         string   `parquet:"id"`
	Name       string   `parquet:"name"`
	Score      *float64 `parquet:"score,optional"`
	Label      *string  `parquet:"label,optional"`
	Comment    *string  `parquet:"comment,optional"`
	User       *string  `parquet:"user,optional"`
	Key        string   `parquet:"key"`
	At         int64    `parquet:"at,timestamp(millisecond)"`
	HappenedAt *int64   `parquet:"happened_at,optional,timestamp(millisecond)"`
}

// rows writes Parquet, a group of rows at a time, so that memory does not grow with their number.
type rows struct {
	w     *parquet.GenericWriter[row]
	held  int
	bytes int
}

func newRows(f *os.File) *rows {
	return &rows{w: parquet.NewGenericWriter[row](f,
		parquet.Compression(&zstd.Codec{}), parquet.CreatedBy("tenuto", "", ""), parquet.PageBufferSize(256<<10), parquet.WriteBufferSize(256<<10),
		// Bounds of texts are of no use to a query, and the writer would keep two texts a page until the end.
		parquet.SkipPageBounds("input"), parquet.SkipPageBounds("output"), parquet.SkipPageBounds("failure_message"),
		parquet.SkipPageBounds("feedback", "list", "element", "comment"))}
}

func (r *rows) write(run Run) error {
	line := rowOf(run)
	if _, err := r.w.Write([]row{line}); err != nil {
		return err
	}
	r.held++
	r.bytes += 512 + len(run.Record)/8 + size(line.Input) + size(line.Output)
	if r.held < groupRows && r.bytes < groupBytes {
		return nil
	}
	r.held, r.bytes = 0, 0
	return r.w.Flush()
}

func size(s *string) int {
	if s == nil {
		return 0
	}
	return len(*s)
}

func (r *rows) close() error { return r.w.Close() }

func rowOf(run Run) row {
	e := run.exchange
	line := row{
		RunID: e.RunID, Tenant: e.Tenant, Chain: e.Chain, Release: some(e.Release), Label: some(e.Label), Status: e.Status,
		StartTime: e.StartMS, EndTime: e.StartMS + e.TookMS, TookMS: e.TookMS, Lane: e.Lane, Retries: count(e.Retries), Steps: count(len(e.Steps)),
		ModelCalls: int64(e.Usage.Calls), InputTokens: int64(e.Usage.InputTokens), OutputTokens: int64(e.Usage.OutputTokens),
		CachedTokens: int64(e.Usage.CachedTokens), ReasoningTokens: int64(e.Usage.ReasoningTokens),
		KnownCostUSD: e.Cost.USD, UnknownCalls: count(e.Cost.Unknown), Models: modelsOf(e), Input: some(strings.TrimPrefix(string(e.Input), "null")), Output: some(string(e.Output)),
	}
	if e.Cost.Unknown == 0 {
		line.CostUSD = &e.Cost.USD
	}
	if e.Failure != nil {
		line.FailureCode, line.FailureMessage = some(string(e.Failure.Code)), &e.Failure.Message
	}
	if len(run.Output) > 0 {
		line.Output = some(string(run.Output))
	}
	for _, f := range run.Feedback {
		line.Feedback = append(line.Feedback, feedbackOf(f))
	}
	return line
}

func feedbackOf(f schemas.Feedback) feedbackRow {
	line := feedbackRow{
		ID: f.ID, Name: f.Name, Score: f.Score, Label: some(f.Label), Comment: some(f.Comment), User: some(f.User), Key: f.Key, At: f.At.UnixMilli(),
	}
	if f.HappenedAt != nil {
		at := f.HappenedAt.UnixMilli()
		line.HappenedAt = &at
	}
	return line
}

// modelsOf are the models that answered, by the providers' names for them, each once, in order of their first answer.
func modelsOf(e schemas.Exchange) []string {
	var models []string
	for _, step := range e.Steps {
		for _, detail := range step.Details {
			for _, call := range detail.Calls {
				name := call.Model
				for _, nearer := range []string{call.Target, call.Answered} {
					if nearer != "" {
						name = nearer
					}
				}
				if call.Failure == nil && name != "" && !slices.Contains(models, name) {
					models = append(models, name)
				}
			}
		}
	}
	return models
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// count is a number of things in a run, which are never as many as it can hold.
func count(n int) int32 { return int32(min(n, 1<<31-1)) } //nolint:gosec // see above

// Whole reports whether the files of a day are there and were finished when the day was over, but for runs that took longer than grace.
func Whole(dir string, day time.Time, formats []string, grace time.Duration) bool {
	for _, format := range formats {
		info, err := os.Stat(Path(dir, day, format))
		if err != nil || info.ModTime().Before(day.Add(24*time.Hour+grace)) {
			return false
		}
	}
	return true
}
