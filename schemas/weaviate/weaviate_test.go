package weaviate_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas/weaviate"
)

func TestClass(t *testing.T) {
	t.Parallel()
	var class struct {
		Vectorizer         string
		MultiTenancyConfig struct{ Enabled bool }
		Properties         []struct {
			Name                             string
			IndexFilterable, IndexSearchable bool
		}
	}
	if err := json.Unmarshal(weaviate.Class, &class); err != nil {
		t.Fatal(err)
	}
	if class.Vectorizer != "none" || !class.MultiTenancyConfig.Enabled {
		t.Errorf("vectorizer %q, tenants apart %v", class.Vectorizer, class.MultiTenancyConfig.Enabled)
	}
	var names, filterable, searchable []string
	for _, p := range class.Properties {
		names = append(names, p.Name)
		if p.IndexFilterable {
			filterable = append(filterable, p.Name)
		}
		if p.IndexSearchable {
			searchable = append(searchable, p.Name)
		}
	}
	slices.Sort(names)
	want := []string{
		weaviate.ChunkHash, weaviate.Document, weaviate.End, weaviate.Meta, weaviate.MetaJSON, weaviate.Ordinal,
		weaviate.Section, weaviate.Source, weaviate.Start, weaviate.Terms, weaviate.Text, weaviate.Title,
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{weaviate.Document, weaviate.Source, weaviate.Meta}, filterable); diff != "" {
		t.Errorf("filterable (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{weaviate.Terms}, searchable); diff != "" {
		t.Errorf("searchable (-want +got):\n%s", diff)
	}
}
