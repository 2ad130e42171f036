package main

import "slices"

// scene is a part of the demo: what it shows, why that matters, and what happens.
type scene struct {
	title string
	why   []string // lines
	acts  []act
}

// The question that the service asks before and after each move of the label, and the file that is changed between them.
const (
	question = "When are deferred functions executed?"
	prompt   = "answers/prompts/answer.prompt"
)

// scenes are the demo, over the folder docs. The new project's chain searches the collection docs.
func scenes(docs string) []scene {
	return slices.Concat(answers(docs), served(), moved(), proven())
}

// answers show what can be asked of documents, and how a project asks it.
func answers(docs string) []scene {
	return []scene{
		{
			title: "Ingest the documents that ship with Go",
			why: []string{
				"A workflow parses, chunks, embeds, publishes and proves them. Killed half way it goes on where it was.",
				"The second time nothing has changed, so nothing is embedded or written.",
			},
			acts: []act{run("ingest", docs, "--collection", "docs"), run("ingest", docs, "--collection", "docs")},
		},
		{
			title: "Ask",
			why: []string{
				"Each citation is compared with its passage before the answer is shown. The built-in model only quotes: it needs no key.",
			},
			acts: []act{
				run("ask", "What happens when you send to a closed channel?", "--collection", "docs"),
				run("ask", "What is the value of an uninitialized pointer, slice, map or interface variable?", "--collection", "docs"),
				run("ask", "What does the function recover return?", "--collection", "docs"),
			},
		},
		{
			title: "Write a project",
			why: []string{
				"Chains, prompts and models are files to keep in Git, and are checked before anything runs.",
			},
			acts: []act{run("init", "answers"), run("check", "answers")},
		},
		{
			title: "Run its chain, and look at what it did",
			why: []string{
				"The chain finds passages and has a model answer from them. --key names the run: sent again it has the same result, paid for once.",
			},
			acts: []act{
				run("run", "docs-qa", "--project", "answers", "--input", "question="+question, "--key", "first"),
				run("runs", "show", "first"),
			},
		},
	}
}

// served show how a service calls the chain.
func served() []scene {
	return []scene{
		{
			title: "Release it",
			why: []string{
				"A release is the chain with all that it uses, under one hash, and never changes. A label points to one.",
			},
			acts: []act{
				run("release", "answers", "--chain", "docs-qa", "--label", "staging", "--message", "as it was made"),
				run("label", "set", "docs-qa@production", "docs-qa@staging", "--why", "it answers well"),
			},
		},
		{
			title: "Call it from a service, with OpenAI's own client",
			why: []string{
				"The chain is a model to any OpenAI client: it needs another base URL, and a key, which may run this chain and nothing else.",
				"Citations are checked before an answer is told, so this one comes in one piece; others come as their model writes them.",
			},
			acts: []act{key("docs-qa"), program("docs-qa@production"), chat("docs-qa@production")},
		},
	}
}

// moved show how a changed prompt gets to production, and away again.
func moved() []scene {
	return []scene{
		{
			title: "Change the prompt, on staging",
			why: []string{
				"What production serves stays as it is: the same program gets the new answer by one label and the old one by the other.",
			},
			acts: []act{
				edit(prompt, "one sentence is enough",
					change{"  temperature: 0\n", "  temperature: 0\n  maxOutputTokens: 40\n"},
					change{"If they do not hold the answer, say so.\n", "If they do not hold the answer, say so. Answer in one sentence.\n"}),
				run("release", "answers", "--chain", "docs-qa", "--label", "staging", "--message", "shorter answers"),
				run("releases", "diff", "docs-qa@production", "docs-qa@staging"),
				chat("docs-qa@staging"),
				chat("docs-qa@production"),
			},
		},
		{
			title: "Promote it, and take it back",
			why: []string{
				"A moved label counts for the next run on every gateway. The way back is one command, and the history says who and why.",
			},
			acts: []act{
				run("label", "set", "docs-qa@production", "docs-qa@staging", "--why", "short is better"),
				chat("docs-qa@production"),
				run("label", "set", "docs-qa@production", "--undo", "--why", "half of the answer is missing"),
				chat("docs-qa@production"),
				run("label", "history", "docs-qa@production"),
			},
		},
		{
			title: "See which release each run was on",
			why: []string{
				"A run stays with the release that it began on, whatever becomes of the label. So do its record, cost and feedback.",
			},
			acts: []act{run("runs", "list", "--label", "docs-qa@production")},
		},
	}
}

// suite is what production must answer from now on.
const (
	suiteFile = "answers/suites/go.yaml"
	suite     = `description: What users ask most.
providers: [chain:docs-qa]
policy: {required: [defer, closed, recover]} # and nothing may get worse: {no_regression: {}}
tests:
  - metadata: {id: defer}
    vars: {question: "When are deferred functions executed?"}
    assert: [{type: icontains, value: "surrounding function returns"}]
  - metadata: {id: closed}
    vars: {question: "What happens when you send to a closed channel?"}
    assert: [{type: icontains, value: "run-time panic"}]
  - metadata: {id: recover}
    vars: {question: "What does the function recover return?"}
    assert: [{type: icontains, value: "nil"}]
`
)

// proven show how a label moves only to what passed its suite.
func proven() []scene {
	return []scene{
		{
			title: "Say what production must answer, and let nothing past that does not",
			why: []string{
				"A suite is in promptfoo's format. From now on the label moves to releases that pass it, and to no others.",
			},
			acts: []act{
				write(suiteFile, suite),
				run("label", "require", "docs-qa@production", "--suite", suiteFile, "--why", "no surprises"),
			},
		},
		{
			title: "Evaluate a better prompt, and promote it",
			why: []string{
				"Each cell is a recorded run of the release, compared with what production answers. The gate asks nothing anew: it finds these cells.",
			},
			acts: []act{
				edit(prompt, "two sentences, and room for them",
					change{"maxOutputTokens: 40", "maxOutputTokens: 200"}, change{"Answer in one sentence.", "Answer in two sentences."}),
				run("release", "answers", "--chain", "docs-qa", "--label", "staging", "--message", "two sentences"),
				run("eval", "run", suiteFile, "--release", "docs-qa@staging", "--baseline", "production"),
				run("label", "set", "docs-qa@production", "docs-qa@staging", "--why", "it passed"),
			},
		},
		{
			title: "Try to promote a worse one",
			why: []string{
				"It is meant well: answers shall begin with some background. The gate runs the suite, says what is lost, and production stays as it is.",
			},
			acts: []act{
				edit(prompt, "some background first",
					change{"\n{{question}}", "\nQuestion: Which types, packages and modules does a Go program have, and how are they declared and imported? Then: {{question}}"}),
				run("release", "answers", "--chain", "docs-qa", "--label", "staging", "--message", "more background"),
				refused("label", "set", "docs-qa@production", "docs-qa@staging", "--why", "readers like background"),
				chat("docs-qa@production"),
				run("eval", "list", "go"),
				run("label", "history", "docs-qa@production"),
			},
		},
	}
}
