package step_test

import (
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/workflows/step"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		profile step.Profile
		ms      int
		attempt time.Duration
		all     time.Duration
	}{
		"nothing said":             {step.Interactive, 0, step.Interactive.StartToClose, step.Interactive.ScheduleToClose},
		"less than nothing":        {step.Interactive, -5, step.Interactive.StartToClose, step.Interactive.ScheduleToClose},
		"shorter":                  {step.Interactive, 1500, 1500 * time.Millisecond, step.Interactive.ScheduleToClose},
		"longer grows all of it":   {step.Interactive, 600_000, 10 * time.Minute, 70 * time.Minute},
		"unbounded attempts stay":  {step.Patient, 3_600_000, time.Hour, step.Patient.ScheduleToClose},
		"a lane's attempts end it": {step.Lane, 60_000, time.Minute, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.profile.Within(test.ms)
			if got.StartToClose != test.attempt || got.ScheduleToClose != test.all {
				t.Errorf("one attempt %v, all %v", got.StartToClose, got.ScheduleToClose)
			}
			if got.Attempts != test.profile.Attempts {
				t.Errorf("%d attempts", got.Attempts)
			}
		})
	}
}
