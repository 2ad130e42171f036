package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// program shows what chat does, as a service would write it.
func program(model string) act {
	return func(_ context.Context, s *stage) error {
		fmt.Fprintf(s.out, `
  client := openai.NewClient(option.WithBaseURL("%s/v1"), option.WithAPIKey("%.16s…"))
  stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
      Model:    %q,
      Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(%q)},
  })
`, s.url, s.key, model, question)
		return nil
	}
}

// chat asks the question of a chain by its label as if that were a model, and shows the answer as it arrives.
func chat(model string) act {
	return func(ctx context.Context, s *stage) error {
		fmt.Fprintf(s.out, "\nOpenAI's client, model %s:\n", model)
		client := openai.NewClient(option.WithBaseURL(s.url+"/v1"), option.WithAPIKey(s.key))
		var response *http.Response
		stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
			Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)},
		}, option.WithResponseInto(&response))
		defer stream.Close()
		for stream.Next() {
			for _, choice := range stream.Current().Choices {
				fmt.Fprint(s.out, choice.Delta.Content)
			}
		}
		fmt.Fprintln(s.out)
		if err := stream.Err(); err != nil {
			return fmt.Errorf("asking %s: %w", model, err)
		}
		s.last = response.Header.Get("X-Tenuto-Run")
		return nil
	}
}
