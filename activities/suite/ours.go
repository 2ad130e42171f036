package suite

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	cronPattern = regexp.MustCompile(`^([\d*/,A-Za-z?L#-]+\s+){4}[\d*/,A-Za-z?L#-]+$|^@(hourly|daily|weekly|monthly|yearly)$`)
	zonePattern = regexp.MustCompile(`^(UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2})$`)
)

// schedule reads when a suite runs by itself: a cron text, or a mapping with cron, timezone, jitter and catchup.
func (l *loader) schedule(v *tree.Value) {
	s := &Schedule{}
	cron := func(v *tree.Value) {
		if l.text(&s.Cron)(v); v.Kind == tree.Text && !cronPattern.MatchString(v.Text) {
			l.at(v, "`%s` is no time table: write five fields, such as \"0 3 * * *\" for three o'clock every night", clip(v.Text))
		}
	}
	l.suite.Schedule = s
	if v.Kind == tree.Text {
		cron(v)
		return
	}
	ok := l.object(v, "schedule", keys{
		"cron": cron, "jitter": l.seconds(&s.JitterS, 24*time.Hour), "catchup": l.seconds(&s.CatchUpS, 30*24*time.Hour),
		"timezone": func(v *tree.Value) {
			if l.text(&s.TimeZone)(v); v.Kind == tree.Text && !zonePattern.MatchString(v.Text) {
				l.at(v, "`%s` is no time zone: write one such as Europe/Berlin, or UTC", clip(v.Text))
			}
		},
	})
	if ok && v.Get("cron") == nil {
		l.at(v, "`cron` is missing: write for instance cron: \"0 3 * * *\"")
	}
}

// seconds reads a duration such as 30m.
func (l *loader) seconds(into *int, most time.Duration) func(*tree.Value) {
	return func(v *tree.Value) {
		d, err := time.ParseDuration(v.Text)
		if v.Kind != tree.Text || err != nil || d < 0 || d > most || d%time.Second != 0 {
			l.at(v, "a duration up to %s is expected here, such as 90s, 30m or 6h", most)
			return
		}
		*into = int(d / time.Second)
	}
}

// longestAge bounds max_age.
const longestAge = 366 * 24 * time.Hour

// maxAge reads how old the answers may be that a run takes.
func (l *loader) maxAge(v *tree.Value) {
	var age int
	before := len(l.problems)
	if l.seconds(&age, longestAge)(v); len(l.problems) == before {
		ms := int64(age) * 1000
		l.suite.MaxAge = &ms
	}
}

// cache is promptfoo's way to ask everything anew: false.
func (l *loader) cache(v *tree.Value) {
	keeps := true
	if l.flag(&keeps)(v); !keeps && l.suite.MaxAge == nil {
		l.suite.MaxAge = new(int64)
	}
}

func (l *loader) budget(v *tree.Value) {
	b := &Budget{}
	var tokens, usd *float64
	l.suite.Budget = b
	if !l.object(v, "budget", keys{"tokens": l.number(&tokens), "usd": l.number(&usd)}) {
		return
	}
	if tokens != nil {
		b.Tokens = int64(*tokens)
	}
	if usd != nil {
		b.USD = *usd
	}
	if tokens != nil && (*tokens < 1 || *tokens > 1e15 || *tokens != float64(b.Tokens)) || usd != nil && *usd <= 0 || tokens == nil && usd == nil {
		l.at(v, "a budget says how many tokens, or US dollars, a run may use: write for instance {tokens: 2000000, usd: 5}")
	}
}

// policy reads when a gate passes: required cases, thresholds by tag, no_regression against the baseline.
func (l *loader) policy(v *tree.Value) {
	within := func(low, high float64) func(*tree.Value) {
		return func(v *tree.Value) {
			if f, ok := v.Number(); !ok || f < low || f > high {
				l.at(v, "a number from %g to %g is expected here", low, high)
			}
		}
	}
	var text string
	var list []string
	threshold := func(v *tree.Value) {
		ok := l.object(v, "a threshold", keys{"tag": l.text(&text), "pass_rate": within(0, 1), "score": within(-1e9, 1e9)})
		if ok && v.Get("pass_rate") == nil && v.Get("score") == nil {
			l.at(v, "a threshold says what is reached at least: write pass_rate or score")
		}
	}
	measure := func(v *tree.Value) {
		if l.text(&text)(v); v.Kind == tree.Text && v.Text != "pass_rate" && v.Text != "score" {
			l.at(v, "what is compared is pass_rate or score, not `%s`", clip(v.Text))
		}
	}
	quarantine := func(v *tree.Value) {
		var until string
		day := func(v *tree.Value) {
			if l.text(&until)(v); !isDay(until) {
				l.at(v, "`%s` is no day: write the day on which the case counts again, such as 2027-01-31", clip(until))
			}
		}
		if l.object(v, "a quarantine", keys{"case": l.text(&text), "until": day, "reason": l.text(&text)}) && (v.Get("case") == nil || v.Get("until") == nil) {
			l.at(v, "a quarantine says which case, by its id, and until when: write {case: greets, until: 2027-01-31}")
		}
	}
	ok := l.object(v, "policy", keys{
		"quarantine": func(v *tree.Value) {
			for _, item := range listOf(v) {
				quarantine(item)
			}
		},
		"required": l.texts(&list),
		"thresholds": func(v *tree.Value) {
			for _, item := range listOf(v) {
				threshold(item)
			}
		},
		"no_regression": func(v *tree.Value) {
			l.object(v, "no_regression", keys{"measure": measure, "alpha": within(1e-6, 0.5), "power": within(0.5, 0.999999), "minimum_effect": within(1e-6, 1)})
		},
	})
	if !ok {
		return
	}
	object, _ := v.Data().(nunjucks.Object)
	for i, f := range object { // one value may stand for a list
		if _, isList := f.Value.([]any); !isList && f.Name != "no_regression" {
			object[i].Value = []any{f.Value}
		}
	}
	l.suite.Policy = json.RawMessage(jsonText(object))
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

var repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)

// notify reads who is told of a regression: a repository on the code host, where an issue is kept, and a URL.
func (l *loader) notify(v *tree.Value) {
	n := &schemas.EvalNotify{}
	l.suite.Notify = n
	ok := l.object(v, "notify", keys{
		"github": func(v *tree.Value) {
			if l.text(&n.Repository)(v); !repositoryPattern.MatchString(n.Repository) {
				l.at(v, "`%s` is no repository: write OWNER/NAME", clip(n.Repository))
			}
		},
		"labels": l.texts(&n.Labels),
		"webhook": func(v *tree.Value) {
			if l.text(&n.Webhook)(v); !strings.HasPrefix(n.Webhook, "https://") && !strings.HasPrefix(n.Webhook, "http://") {
				l.at(v, "`%s` is no address that can be told: write https://…", clip(n.Webhook))
			}
		},
	})
	if ok && n.IsZero() {
		l.at(v, "nobody is told: write github: OWNER/NAME, or webhook: https://…")
	}
}
