package cli

import (
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type askCommand struct {
	choices
	Question  string `arg:"" help:"The question."`
	Limit     int    `default:"6" short:"k" help:"Chunks that the model sees at most."`
	Model     string `placeholder:"PROVIDER/MODEL" help:"Model that answers (default: the gateway's)."`
	MaxTokens int    `placeholder:"N" help:"Tokens of the answer at most (default: the model's limit)."`
	RunID     string `placeholder:"ID" help:"Id of the run; the same id with the same question has the same answer."`
}

// Run asks. The call carries a run id of its own, so that repeating it on a broken line pays for no second answer.
func (c askCommand) Run(s *session) error {
	if c.Limit < 1 || c.Limit > maxHits {
		return schemas.Errorf(schemas.Invalid, "--limit %d: choose 1 to %d", c.Limit, maxHits)
	}
	filter, err := c.filter()
	if err != nil {
		return err
	}
	request, err := jsonCall(http.MethodPost, c.path("ask"), rest.NewAsk{
		Question: c.Question, Mode: c.Mode, Limit: c.Limit, Model: c.Model, MaxTokens: c.MaxTokens, Filter: filter,
	})
	if err != nil {
		return err
	}
	if c.RunID == "" {
		c.RunID = uuid.Must(uuid.NewV7()).String()
	}
	request.header["Idempotency-Key"] = c.RunID
	gateway, err := s.api()
	if err != nil {
		return err
	}
	var answer rest.Answered
	if err := gateway.do(s.ctx, request, &answer); err != nil {
		return err
	}
	return s.print(answer, func(w io.Writer) { writeAnswer(w, answer) })
}

func writeAnswer(w io.Writer, answer rest.Answered) {
	fmt.Fprintln(w, answer.Answer)
	if len(answer.Citations) > 0 {
		fmt.Fprintln(w)
	}
	writeCitations(w, answer.Citations)
}

func writeCitations(w io.Writer, citations []schemas.Citation) {
	for _, citation := range citations {
		place := citation.Document
		if citation.Section != "" {
			place += " > " + citation.Section
		}
		fmt.Fprintf(w, "[%d] %s\n    \"%s\"\n", citation.Index, place, brief(citation.Quote))
	}
}
