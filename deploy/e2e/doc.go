// Package e2e tests the platform as a whole: the programs that users run, as separate processes over real servers, and what
// becomes of work when they are killed, starved or misused. It holds tests only.
package e2e
