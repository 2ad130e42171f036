package client_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

// In a service getenv is os.Getenv. The examples run against the stack whose addresses are in the environment, else against a gateway in this
// process, with the same chain and the same answers.

// A service asks a chain by its label and shows the answer while it comes in.
func Example() {
	ctx := context.Background()
	c, err := client.Dial(ctx, getenv)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	handbook := client.ChainOf[Question, Answer](c, "handbook@production")
	for event, err := range handbook.Stream(ctx, Question{"How long are logs kept?"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(event.Text)
		if event.Kind == client.Done {
			fmt.Println("\nfrom", event.Result.Output.Citations[0].Document)
		}
	}
	// Output:
	// Logs are kept for ninety days [1].
	// from handbook.md
}

// A key makes a request safe to repeat: it joins the run that it began, or has its stored result.
func ExampleChain_Run() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, getenv)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	handbook := client.ChainOf[Question, Answer](c, "handbook@production")
	for range 2 {
		result, err := handbook.Run(ctx, Question{"When are backups made?"}, client.WithKey("ticket-4711"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.RunID, result.Output.Answer)
	}
	_, err = handbook.Run(ctx, Question{"How long are logs kept?"}, client.WithKey("ticket-4711"))
	fmt.Println(schemas.CodeOf(err))
	// Output:
	// ticket-4711 Backups are made every night [1].
	// ticket-4711 Backups are made every night [1].
	// conflict
}

// A run that nobody waits for goes on by itself, and whoever knows its id has its result.
func ExampleFind() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, getenv)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	run, err := client.ChainOf[Question, Answer](c, "handbook@production").Start(ctx, Question{"How long are logs kept?"}, client.WithMetadata(map[string]string{"page": "faq"}))
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Find[Answer](c, run.ID()).Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Output.Answer)
	// Output: Logs are kept for ninety days [1].
}

// Feedback is a number, a category or a text, given at any time after the run; what counts is the latest of each author and name.
func ExampleClient_Feedback() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, getenv)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	result, err := client.ChainOf[Question, Answer](c, "handbook@production").Run(ctx, Question{"How long are logs kept?"})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range []client.Feedback{
		{Name: "helpful", Score: new(0.0), User: "ada"},
		{Name: "helpful", Score: new(1.0), User: "ada", Comment: "on second thoughts"},
		{Name: "outcome", Label: "solved", HappenedAt: time.Now().Add(-time.Hour)},
	} {
		if _, err := c.Feedback(ctx, result.RunID, f); err != nil {
			log.Fatal(err)
		}
	}
	counts, err := c.FeedbackOn(ctx, result.RunID)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range counts {
		if f.Score != nil {
			fmt.Println(f.Name, *f.Score, f.Comment)
		} else {
			fmt.Println(f.Name, f.Label)
		}
	}
	// Output:
	// helpful 1 on second thoughts
	// outcome solved
}

// Errors have a code of the closed list, and a message that is safe to show and says what to do.
func ExampleNew() {
	c, err := client.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Feedback(context.Background(), "some-run", client.Feedback{Name: "helpful", Score: new(1.0)})
	fmt.Println(schemas.CodeOf(err))
	fmt.Println(strings.SplitAfter(schemas.SafeMessage(err), ",")[0])
	// Output:
	// invalid
	// feedback needs a gateway: set TENUTO_URL and TENUTO_API_KEY,
}
