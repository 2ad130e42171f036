package e2e

import "testing"

// TestPlatform runs what leaves the platform whole, side by side on one house, each in collections of its own.
func TestPlatform(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"first path", testFirstPath},
		{"empty folder", testEmptyFolder},
		{"odd files", testOddFiles},
		{"long line", testLongLine},
		{"names", testNames},
		{"Chinese", testChinese},
		{"two at once", testTwoAtOnce},
		{"interrupt", testInterrupt},
		{"cancel", testCancel},
		{"keys", testKeys},
		{"tenants", testTenants},
		{"fan-out", testFanOut},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, h)
		})
	}
}
