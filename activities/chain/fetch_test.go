package chain_test

import (
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestFetch(t *testing.T) {
	t.Parallel()
	a := &chain.Activities{Store: blob.New(&memblob.Driver{})}
	text := strings.Repeat("long ", 1000)
	ref, err := blob.PutContent(t.Context(), a.Store, tenant, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Fetch(t.Context(), schemas.FetchRequest{Tenant: tenant, Ref: ref}); err != nil || got.Text != text {
		t.Errorf("%d bytes, %v", len(got.Text), err)
	}
	large, gone, foreign := ref, ref, ref
	large.Bytes = schemas.MaxFetch + 1
	gone.Key = schemas.BlobKey(tenant, strings.Repeat("0", 64))
	foreign.Key = "auth/keys/x.json"
	for name, test := range map[string]struct {
		in   schemas.FetchRequest
		code schemas.Code
	}{
		"too long":          {schemas.FetchRequest{Tenant: tenant, Ref: large}, schemas.OverBudget},
		"gone":              {schemas.FetchRequest{Tenant: tenant, Ref: gone}, schemas.NotFound},
		"elsewhere":         {schemas.FetchRequest{Tenant: tenant, Ref: foreign}, schemas.Invalid},
		"of another tenant": {schemas.FetchRequest{Tenant: "other", Ref: ref}, schemas.Invalid},
		"of no tenant":      {schemas.FetchRequest{Tenant: "../" + tenant, Ref: ref}, schemas.Invalid},
	} {
		if _, err := a.Fetch(t.Context(), test.in); err == nil || schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
}
