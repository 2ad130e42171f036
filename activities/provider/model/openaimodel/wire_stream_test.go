package openaimodel

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// stream is a recorded stream and what it says.
type stream struct {
	response wiretest.Response
	api      string
	want     model.Response
}

func recordedStreams(t *testing.T) map[string]stream {
	t.Helper()
	const mini, nano = "gpt-4o-mini-2024-07-18", "gpt-4.1-nano-2025-04-14"
	first := func(name string) wiretest.Response { return wiretest.Load(t, name).Interactions[0].Response }
	return map[string]stream{
		"chat": {first("openai/chat-stream.json"), Chat, model.Response{
			Text:  "sha256:910245ae4a840ab032b354f8fdb803aa554f18339d8a127f43c30cb63942248f",
			Model: "gpt-3.5-turbo", ID: "chatcmpl-7UR4UcvmeD79Xva3UxkKkL2es6b5W", Finish: model.FinishStop, Usage: tokens(10, 50),
		}},
		"tools": {first("openai/chat-tools-stream.json"), Chat, model.Response{
			Calls: []model.ToolCall{call("call_P9Ayqu3UQNYuTBVAg2sLimh9", "get_current_weather", `{"location":"San Francisco"}`)},
			Model: "gpt-3.5-turbo-0125", ID: "chatcmpl-9Xtj47S36iWNBARmBocBaifGBbjtw", Finish: model.FinishTool,
		}},
		"several tools": {first("openai/chat-multi-tools-stream.json"), Chat, model.Response{
			Calls: []model.ToolCall{
				call("call_fHCjJqt9Pysde6vcJcvbXGBx", "get_current_weather", `{"location": "Seattle, WA"}`),
				call("call_3J9foSw3CUb48lrqIXoTky6U", "get_current_weather", `{"location": "San Francisco, CA"}`),
			},
			Model: mini, Fingerprint: "fp_9b78b61c52", ID: "chatcmpl-ASYMbACebDoWcuraMEWQhU48q4dAp", Finish: model.FinishTool, Usage: tokens(75, 51),
		}},
		"two choices": {first("openai/chat-n2-stream.json"), Chat, model.Response{
			Text:  "sha256:cfb0e0914d5f3e9b3743579611ef98b42abab199b8a72739a2607d060f26915a",
			Model: mini, Fingerprint: "fp_0ba0d124f1", ID: "chatcmpl-ASYMaNc7XmbGRUNREnmvhyyISBHsv", Finish: model.FinishStop, Usage: tokens(26, 104),
		}},
		"responses": {first("openai/responses-stream.json"), Responses, model.Response{
			Text: "2 + 2 equals 4.", Model: nano, ID: "resp_087a1bffb8180cc4006912065042e08196a1a6445d62480120", Finish: model.FinishStop, Usage: tokens(14, 9),
		}},
		"responses, another year": {wiretest.Load(t, "openai/responses-stream.json").Interactions[1].Response, Responses, model.Response{
			Text: "2 + 2 equals 4.", Model: nano, ID: "resp_0e054c0b7ea15b350069cbcbfbc338819898e8a9ab6185e5d3", Finish: model.FinishStop, Usage: tokens(14, 9),
		}},
		"custom tool": {mended(t, "vercel/openai-responses/openai-custom-tool.1.chunks.txt"), Responses, model.Response{
			Calls: []model.ToolCall{call("call_custom_sql_001", "write_sql", `{"input":"SELECT * FROM users WHERE age \u003e 25"}`)},
			Model: "gpt-5.2-codex", ID: "resp_custom_tool_test_001", Finish: model.FinishTool, Usage: tokens(50, 20),
		}},
		"parallel wrapper": {mended(t, "vercel/openai-responses/parallel-tool-call-wrapper.1.chunks.txt"), Responses, model.Response{
			Calls: []model.ToolCall{
				call("call_parallel_1", "weather", `{"location":"San Francisco"}`), call("call_parallel_2", "cityAttractions", `{"city":"Rome"}`),
			},
			Model: "gpt-5.4", ID: "resp_parallel", Finish: model.FinishTool, Usage: tokens(34, 28),
		}},
	}
}

// TestRecordedStreams cuts every recorded stream in two at every byte; the events are decoded at every byte, and the
// whole answer too, of long ones at hundreds.
func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	for name, s := range recordedStreams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := play(t, s.response, s.api)
			data := s.response.Bytes()
			eventsAtEveryByte(t, data)
			step := 1
			if len(data) > 3<<10 {
				step = 1 + len(data)/150
			}
			for i := 0; i <= len(data); i += step {
				p.split = func(data []byte) io.Reader {
					return io.MultiReader(bytes.NewReader(data[:i]), bytes.NewReader(data[i:]))
				}
				got, err := listened(t, d, weather)
				if diff := gocmp.Diff(s.want, got); diff != "" || err != nil {
					t.Fatalf("split at %d: %v\n%s", i, err, diff)
				}
			}
			p.split = func(data []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) }
			if got, err := listened(t, d, weather); err != nil || !gocmp.Equal(s.want, got) {
				t.Errorf("byte by byte: %v", err)
			}
		})
	}
}

// eventsAtEveryByte decodes each event with the one after it, split at every byte of the first.
func eventsAtEveryByte(t *testing.T, data []byte) {
	t.Helper()
	read := func(r io.Reader) (all []byte) {
		for e, err := range transport.Events(r) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(append(all, e.Data...), '\n')
		}
		return all
	}
	parts := bytes.SplitAfter(data, []byte("\n\n"))
	for n, part := range parts[:len(parts)-1] {
		window := append(bytes.Clone(part), parts[n+1]...)
		want := read(bytes.NewReader(window))
		for i := range part {
			if !bytes.Equal(want, read(io.MultiReader(bytes.NewReader(window[:i]), bytes.NewReader(window[i:])))) {
				t.Fatalf("event %d split at %d: other events", n, i)
			}
		}
	}
}

// TestStreamsThatAreCut cuts every recorded stream off at hundreds of places: the answer is the whole one or unavailable, never a short one.
func TestStreamsThatAreCut(t *testing.T) {
	t.Parallel()
	for name, s := range recordedStreams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := play(t, s.response, s.api)
			data := s.response.Bytes()
			for i := 0; i < len(data); i += 1 + len(data)/150 {
				for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
					p.split = func(data []byte) io.Reader { return io.MultiReader(bytes.NewReader(data[:i]), iotest.ErrReader(end)) }
					got, err := listened(t, d, weather)
					got.Usage, s.want.Usage = schemas.Usage{}, schemas.Usage{} // may come after the answer
					if err != nil && schemas.CodeOf(err) != schemas.Unavailable || err == nil && !gocmp.Equal(s.want, got) {
						t.Fatalf("cut at %d with %v: %+v, %v", i, end, got, err)
					}
				}
			}
		})
	}
}
