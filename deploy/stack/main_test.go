package main

import (
	"os"
	"testing"
)

// asStack has the test binary be tenuto-stack, so that tests can start, signal and kill the real program without building it.
const asStack = "TENUTO_STACK_TEST_AS_STACK"

func TestMain(m *testing.M) {
	if os.Getenv(asStack) != "" {
		os.Unsetenv(asStack)
		main()
	}
	os.Exit(m.Run())
}
