// Package release makes releases of chains: it reads projects, checks them, and keeps what their chains run by.
package release
