package anthropicmodel

import (
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// status corrects the 400 that the server answers to an account without credit or beyond the spending limit that it set itself.
func status(status int, p transport.Problem) int {
	if status == http.StatusBadRequest && p.Has("credit balance is too low", "specified api usage limits") {
		return http.StatusPaymentRequired
	}
	return status
}

func isFiltered(p transport.Problem) bool { return p.IsFiltered() || p.Has("content filtering policy") }

func isTooLong(p transport.Problem) bool {
	return p.IsTooLong() || p.Has("exceed context limit")
}

// isAboutSchema finds objections to the tool that structured output is the input of, or to being made to call it.
func isAboutSchema(p transport.Problem) bool {
	return p.IsAboutSchema() || p.Has("input_schema", "tool_choice")
}
