package memvector_test

import (
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/memvector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/vectortest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	vectortest.Run(t, func(*testing.T) vector.Driver { return &memvector.Driver{} })
}
