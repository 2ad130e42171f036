package memforge_test

import (
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/forgetest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
)

func TestDriver(t *testing.T) {
	t.Parallel()
	forgetest.Run(t, func(_ *testing.T, host *memforge.Driver) forge.Driver { return host })
}

func TestIssues(t *testing.T) {
	t.Parallel()
	forgetest.RunIssues(t, func(_ *testing.T, host *memforge.Driver) forge.IssueDriver { return host })
}
