package gateway_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func TestUploadIsRepeatable(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	var first, again rest.Pack
	c.send("POST", library+"/contents", tarOf("one", "two")).want(t, 201, &first)
	c.send("POST", library+"/contents", tarOf("one", "two")).want(t, 200, &again)
	if first.Contents != 2 || again.Pack != first.Pack || !again.Existed {
		t.Errorf("first %+v, again %+v", first, again)
	}
	page, err := s.Store.List(t.Context(), schemas.PackPrefix("default", "library"), "", 0)
	if err != nil || len(page) != 2 {
		t.Errorf("stored %v (%v), want one tar file and its index", page, err)
	}
}

func TestSingleContent(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	big := strings.Repeat("0123456789abcdef", 9<<20/16)
	for i, content := range []string{"", "small", big} {
		c.send("PUT", library+"/contents/"+schemas.Hash([]byte(content)), []byte(content)).want(t, 201, nil)
		listing := rest.NewIngestion{Source: "s", Documents: []schemas.ListedDocument{doc("a", content)}}
		var started rest.Started
		c.send("POST", library+"/ingestions", listing).want(t, 202, &started)
		var done rest.Ingestion
		c.send("GET", library+"/ingestions/"+started.Ingestion+"/wait", nil).want(t, 200, &done)
		if len(done.Report.Quarantine) != 0 {
			t.Errorf("content %d: %+v", i, done.Report.Quarantine)
		}
	}
	c.send("PUT", library+"/contents/"+schemas.Hash([]byte("x")), []byte("y")).wantProblem(t, 400, schemas.Invalid, "another SHA-256")
	c.send("PUT", library+"/contents/abc", []byte("y")).want(t, 400, nil)
}

func TestBadUploadsStoreNothing(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	good := tarOf("good content")
	wrong := bytes.Replace(good, []byte("good content"), []byte("evil content"), 1)
	many := make([]string, 1025)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	large := strings.Repeat("y", 5<<20)
	for name, test := range map[string]struct {
		body   []byte
		status int
		detail string
	}{
		"wrong content": {wrong, http.StatusBadRequest, "another SHA-256"},
		"cut off":       {good[:520], http.StatusBadRequest, "ends inside"},
		"no tar":        {bytes.Repeat([]byte("x"), 1024), http.StatusBadRequest, "no complete tar"},
		"empty":         {tarOf(), http.StatusBadRequest, "no content"},
		"twice":         {tarOf("a", "a"), http.StatusBadRequest, "twice"},
		"path":          {bytes.Replace(good, []byte(schemas.Hash([]byte("good content"))), append([]byte("/etc/passwd"), make([]byte, 53)...), 1), http.StatusBadRequest, ""},
		"too many":      {tarOf(many...), http.StatusRequestEntityTooLarge, "1024"},
		"too large":     {tarOf(large, large+"z"), http.StatusRequestEntityTooLarge, "several"},
		"huge":          {make([]byte, 33<<20), http.StatusRequestEntityTooLarge, "larger than"},
	} {
		got := c.send("POST", library+"/contents", test.body)
		if got.status != test.status || !strings.Contains(got.problem.Detail, test.detail) {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, test.status, got.body)
		}
	}
	if page, err := s.Store.List(t.Context(), schemas.TenantPrefix("default"), "", 0); err != nil || len(page) != 0 {
		t.Errorf("bad uploads left %v (%v)", page, err)
	}
}
