package model_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestCallsThatNobodyCouldServe(t *testing.T) {
	t.Parallel()
	hot, nan := 3.0, math.NaN()
	for name, spoil := range map[string]func(*model.Call){
		"tenant":      func(c *model.Call) { c.Tenant = "A/B" },
		"attempt":     func(c *model.Call) { c.Attempt = "" },
		"model":       func(c *model.Call) { c.Request.Model = "" },
		"messages":    func(c *model.Call) { c.Request.Messages = nil },
		"role":        func(c *model.Call) { c.Request.Messages = []model.Message{{Role: "tool", Text: "x"}} },
		"UTF-8":       func(c *model.Call) { c.Request.Messages = []model.Message{{Role: "user", Text: "\xff"}} },
		"max tokens":  func(c *model.Call) { c.Request.MaxTokens = -1 },
		"temperature": func(c *model.Call) { c.Request.Temperature = &hot },
		"NaN":         func(c *model.Call) { c.Request.Temperature = &nan },
		"schema":      func(c *model.Call) { c.Request.Schema = json.RawMessage(`{} {`) },
	} {
		d := &driver{}
		call := sample()
		spoil(&call)
		_, _, err := (&model.Provider{Name: "p", Driver: d}).Generate(t.Context(), call)
		if schemas.CodeOf(err) != schemas.Invalid || d.calls.Load() != 0 {
			t.Errorf("%s: %v after %d calls", name, err, d.calls.Load())
		}
	}
}

func TestEmbedChecks(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	good := [][]float32{{1, 0}, {0, 1}}
	for name, test := range map[string]struct {
		request model.EmbedRequest
		vectors [][]float32
		code    schemas.Code
	}{
		"good":            {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}}, good, ""},
		"asked length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 3}, [][]float32{{1, 2, 3}}, ""},
		"no such model":   {model.EmbedRequest{Model: "x", Inputs: []string{"a"}}, good, schemas.NotFound},
		"no input":        {model.EmbedRequest{Model: "m"}, good, schemas.Invalid},
		"too many":        {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b", "c"}}, good, schemas.Invalid},
		"empty input":     {model.EmbedRequest{Model: "m", Inputs: []string{"a", ""}}, good, schemas.Invalid},
		"invalid UTF-8":   {model.EmbedRequest{Model: "m", Inputs: []string{"\xff"}}, good, schemas.Invalid},
		"negative length": {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: -1}, good, schemas.Invalid},
		"too few back":    {model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}}, good[:1], schemas.MalformedOutput},
		"wrong length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}}, [][]float32{{1, 2, 3}}, schemas.MalformedOutput},
		"other length":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 3}, good[:1], schemas.MalformedOutput},
		"not a number":    {model.EmbedRequest{Model: "m", Inputs: []string{"a"}}, [][]float32{{nan, 1}}, schemas.MalformedOutput},
	} {
		_, err := (&model.Provider{Name: "p", Driver: &driver{vectors: test.vectors}}).Embed(t.Context(), "acme", test.request)
		if (test.code == "") != (err == nil) || (err != nil && schemas.CodeOf(err) != test.code) {
			t.Errorf("%s: %v, want code %q", name, err, test.code)
		}
	}
}
