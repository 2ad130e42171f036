package memblob_test

import (
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/blobtest"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, &memblob.Driver{})
}
