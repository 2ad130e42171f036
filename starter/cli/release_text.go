package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func writeRelease(w io.Writer, found rest.ReleaseContent) {
	fmt.Fprintf(w, "release    %s of chain %s\n", found.Hash, found.Chain)
	fmt.Fprintf(w, "made       %s by %s%s\n", localTime(found.CreatedAt), who(found.By), fromSource(found.Source))
	if found.Message != "" {
		fmt.Fprintf(w, "message    %s\n", found.Message)
	}
	for _, label := range found.Labels {
		fmt.Fprintf(w, "label      %s@%s\n", found.Chain, label)
	}
	if r := found.Recalled; r != nil {
		fmt.Fprintf(w, "recalled   %s by %s: no run starts on it%s\n", localTime(r.At), who(r.By), because(r.Why))
	}
	b := found.Bundle
	writeNames(w, "chains     ", slices.Sorted(maps.Keys(b.Chains)))
	writeNames(w, "models     ", append(slices.Sorted(maps.Keys(b.Models.Models)), slices.Sorted(maps.Keys(b.Models.Routes))...))
	for _, name := range slices.Sorted(maps.Keys(b.Recipes)) {
		fmt.Fprintf(w, "recipe     %s of %s: embedder %s, chunks of %d tokens\n", b.Recipes[name].Hash(), name, b.Recipes[name].Embedder, b.Recipes[name].Chunk.MaxTokens)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Prompts)) {
		fmt.Fprintf(w, "\nprompt %s\n", name)
		writeIndented(w, b.Prompts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(b.Chains)) {
		fmt.Fprintf(w, "\nchain %s\n", name)
		writeIndented(w, indentedJSON(b.Chains[name]))
	}
	if len(b.Models.Models)+len(b.Models.Routes)+len(b.Models.Providers) > 0 {
		fmt.Fprint(w, "\nmodels\n")
		writeIndented(w, indentedJSON(b.Models))
	}
}

func fromSource(source string) string {
	if source == "" {
		return ""
	}
	return ", from " + source
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

func writeNames(w io.Writer, label string, names []string) {
	if len(names) > 0 {
		fmt.Fprintln(w, label+strings.Join(names, ", "))
	}
}

func writeIndented(w io.Writer, text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		fmt.Fprint(w, strings.TrimRight("  "+line, " \n")+"\n")
	}
}

func indentedJSON(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil { // what came as JSON goes as JSON
		return err.Error()
	}
	return out.String()
}

func writeDifference(w io.Writer, d rest.Difference) {
	fmt.Fprintf(w, "from       %s\nto         %s\n", releaseLine(d.From), releaseLine(d.To))
	if len(d.Settings)+len(d.Prompts) == 0 {
		fmt.Fprintln(w, "nothing differs")
		return
	}
	if len(d.Settings) > 0 {
		fmt.Fprint(w, "\nsettings\n")
	}
	for _, s := range d.Settings {
		fmt.Fprintf(w, "  %s: %s -> %s\n", s.Path, setting(s.Old), setting(s.New))
	}
	for _, p := range d.Prompts {
		fmt.Fprintf(w, "\nprompt %s: %s\n", p.Name, p.Kind)
		if p.Diff != "" {
			writeIndented(w, p.Diff)
		}
	}
}

func releaseLine(r rest.Release) string {
	line := fmt.Sprintf("%s of chain %s, made %s by %s", schemas.ShortRelease(r.Hash), r.Chain, localTime(r.CreatedAt), who(r.By))
	if state := releaseState(r); state != "" {
		line += ", " + state
	}
	return line
}

func setting(value json.RawMessage) string {
	if len(value) == 0 {
		return "nothing"
	}
	return brief(string(value))
}

// writePin says which release a run was pinned to, for whom, and which run it stands for or is stood for by.
func writePin(w io.Writer, e schemas.Exchange) {
	if e.Release == "" {
		return
	}
	by := ""
	if e.Label != "" {
		by = ", by label " + e.Label
	}
	fmt.Fprintf(w, "release    %s%s\n", e.Release, by)
	if e.Key != "" {
		fmt.Fprintf(w, "key        %s\n", e.Key)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		fmt.Fprintf(w, "metadata   %s: %s\n", name, brief(e.Metadata[name]))
	}
	if e.RerunOf != "" {
		fmt.Fprintf(w, "instead of %s, whose release was recalled\n", e.RerunOf)
	}
	if e.RerunAs != "" {
		fmt.Fprintf(w, "rerun as   %s: the release was recalled\n", e.RerunAs)
	}
}
