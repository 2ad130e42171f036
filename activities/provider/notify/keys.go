package notify

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	minSecret = 32 // characters of a secret of the installation
	keyBytes  = 32 // of a tenant's secret; the specification asks for 24 to 64
)

// Keys derive the secrets of tenants from those of the installation, so that none has to be stored. The zero value has none.
type Keys struct {
	roots [][]byte // the one that counts first
}

// ParseKeys reads the secrets of an installation: one, or the new and the old one with a comma between them while receivers change over.
// Code: invalid.
func ParseKeys(text string) (Keys, error) {
	var k Keys
	if text == "" {
		return k, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if len(part) < minSecret {
			return Keys{}, schemas.Errorf(schemas.Invalid, "a secret must have %d characters or more, such as those of openssl rand -hex 32", minSecret)
		}
		k.roots = append(k.roots, []byte(part))
	}
	if len(k.roots) > 2 {
		return Keys{}, schemas.Errorf(schemas.Invalid, "there are %d secrets; give one, or a new and an old one", len(k.roots))
	}
	return k, nil
}

// Ready reports whether there is a secret to sign with.
func (k Keys) Ready() bool { return len(k.roots) > 0 }

// String keeps secrets out of logs.
func (k Keys) String() string { return "secrets" }

// GoString keeps secrets out of logs.
func (k Keys) GoString() string { return k.String() }

// Secrets are those that messages to a tenant's receivers are signed with, in the form that receivers take: whsec_ and base64. The first one
// stays.
func (k Keys) Secrets(tenant string) []string {
	all := make([]string, 0, len(k.roots))
	for _, key := range k.of(tenant) {
		all = append(all, "whsec_"+base64.StdEncoding.EncodeToString(key))
	}
	return all
}

// of derives the keys of a tenant by HKDF with SHA-256 (RFC 5869), without salt.
func (k Keys) of(tenant string) [][]byte {
	keys := make([][]byte, 0, len(k.roots))
	for _, root := range k.roots {
		key, err := hkdf.Key(sha256.New, root, nil, "tenuto webhook v1/"+tenant, keyBytes)
		if err != nil { // only for keys of other lengths
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// signature is the value of the header: one signature for each key, with spaces between them.
func (k Keys) signature(tenant, id, stamp string, body []byte) string {
	var all []string
	for _, key := range k.of(tenant) {
		all = append(all, sign(key, id, stamp, body))
	}
	return strings.Join(all, " ")
}

// sign signs id, time and body, with full stops between them.
func sign(key []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
