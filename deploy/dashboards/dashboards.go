// Package dashboards holds what Grafana shows of a platform. tenuto.json is imported as it is, and asks for a Prometheus data source.
package dashboards

import _ "embed"

// Tenuto is the dashboard, in Grafana's JSON (schema version 39).
//
//go:embed tenuto.json
var Tenuto []byte
