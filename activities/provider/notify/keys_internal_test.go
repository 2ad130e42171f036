package notify

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// TestThePublishedVector signs what the specification's own libraries are tested with.
func TestThePublishedVector(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const (
	newRoot = "new-secret-of-the-installation-0001"
	oldRoot = "old-secret-of-the-installation-0001"
)

// TestSecretsAreDerived compares with what another implementation of HKDF and HMAC, Python's, makes of the same.
func TestSecretsAreDerived(t *testing.T) {
	t.Parallel()
	body := []byte(`{"type":"run.done"}`)
	for _, test := range []struct {
		roots, tenant string
		secrets       []string
		signature     string
	}{
		{
			newRoot, "default",
			[]string{"whsec_PeFQk/TFxRBiIlIkcQW6YJRcAT0PQNo905hvlZQfTTY="},
			"v1,+quWX/OhYhqu5t08+BO0bzCEZ7DPB6f23E0bTrYVneM=",
		},
		{
			newRoot + ", " + oldRoot, "acme",
			[]string{"whsec_7PF7Y+X7KPwMBbmg5P+slHsUjFuDlGHlOCFlwoYE8Oc=", "whsec_DqM1VnhFQTJFgwlOHX5ieZBMpUZ2V8oZy4C/hQB63Uc="},
			"v1,vGS5fbeDpBhRf1TMXaJkpGbs2cMK92Fm+QzJtsU4ZV4= v1,373h2+m6sfPidH4V6zR9SSmTtwpW5YcRTGg/8IdgZKY=",
		},
	} {
		keys, err := ParseKeys(test.roots)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.secrets, keys.Secrets(test.tenant)); diff != "" {
			t.Error(diff)
		}
		if got := keys.signature(test.tenant, "msg_1", "1700000000", body); got != test.signature {
			t.Errorf("signature %s, want %s", got, test.signature)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, keys); strings.Contains(shown, "installation") || strings.Contains(shown, "110 101 119") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	for text, ready := range map[string]bool{"": false, newRoot: true, newRoot + "," + oldRoot: true} {
		if keys, err := ParseKeys(text); err != nil || keys.Ready() != ready {
			t.Errorf("%q: ready %v, %v", text, keys.Ready(), err)
		}
	}
	for name, text := range map[string]string{"short": "secret", "one is short": newRoot + ",x", "an empty one": newRoot + ",", "three": newRoot + "," + oldRoot + "," + newRoot} {
		if _, err := ParseKeys(text); schemas.CodeOf(err) != schemas.Invalid || strings.Contains(err.Error(), newRoot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
