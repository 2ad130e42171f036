package dashboards_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/deploy/dashboards"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

var (
	metricName = regexp.MustCompile(`\b(?:tenuto|gen_ai|temporal)_[a-z_]+`)
	declared   = regexp.MustCompile(`fqName: "([^"]+)"`)
	labelList  = regexp.MustCompile(`\bby \([^)]*\)`)
)

// registered are the names of all figures that a worker with a gateway has, and one of those of the Temporal SDK.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	m := meter.New(meter.Options{})
	telemetry.TemporalMetrics(m.Registry()).Timer("temporal_workflow_task_execution_latency")
	gatewaytest.Start(t, func(d *gateway.Deps) { d.Hub, d.Meter = new(hub.Hub), m })
	names, descriptions := map[string]bool{}, make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		m.Registry().Describe(descriptions)
	}()
	for d := range descriptions {
		names[declared.FindStringSubmatch(d.String())[1]] = true
	}
	return names
}

func TestEveryMetricOfTheDashboardExists(t *testing.T) {
	t.Parallel()
	names, used := registered(t), 0
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboards.Tenuto, &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			for _, name := range metricName.FindAllString(labelList.ReplaceAllString(target.Expr, ""), -1) {
				used++
				base := name
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					base = strings.TrimSuffix(base, suffix)
				}
				if !names[name] && !names[base] {
					t.Errorf("panel %q uses %s, which nothing registers", panel.Title, name)
				}
			}
		}
	}
	if used < 30 {
		t.Errorf("only %d metrics were found in the dashboard", used)
	}
}
