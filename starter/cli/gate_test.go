package cli_test

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// packSuites puts packages of two suites into the store, smoke, which passes, and strict, which fails, and returns their hashes.
func packSuites(s *gatewaytest.Server) (smoke, strict string, err error) {
	s.Work.Judge(func(_ context.Context, in schemas.EvalRequest, summary schemas.EvalSummary) (schemas.EvalSummary, error) {
		if in.Suite == "strict" {
			summary.Ruling, summary.Reasons = schemas.RulingFailed, []string{"case greets fails"}
		}
		return summary, nil
	})
	put := func(suite string) string {
		data, _ := json.Marshal(schemas.SuitePackage{Suite: suite, File: suite + ".yaml"})
		hash := schemas.Hash(data)
		if fault := s.Store.Put(context.Background(), schemas.SuitePackageKey(schemas.DefaultTenant, suite, hash), data); fault != nil {
			err = fault
		}
		return hash
	}
	return put("smoke"), put("strict"), err
}
