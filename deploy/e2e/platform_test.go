package e2e

import "testing"

// TestPlatform runs what leaves the platform whole, side by side on one house, each in collections of its own.
//
//nolint:paralleltest // every method calls t.Parallel, where the linter does not look
func TestPlatform(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	t.Run("first path", h.testFirstPath)
	t.Run("empty folder", h.testEmptyFolder)
	t.Run("odd files", h.testOddFiles)
	t.Run("long line", h.testLongLine)
	t.Run("names", h.testNames)
	t.Run("Chinese", h.testChinese)
	t.Run("two at once", h.testTwoAtOnce)
	t.Run("interrupt", h.testInterrupt)
	t.Run("cancel", h.testCancel)
	t.Run("keys", h.testKeys)
	t.Run("tenants", h.testTenants)
	t.Run("fan-out", h.testFanOut)
	t.Run("evaluated documents", h.testEvaluatedDocuments)
}
