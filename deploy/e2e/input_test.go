package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// testEmptyFolder requires that an empty folder changes nothing: it is more often a mistake than a wish.
func (h *house) testEmptyFolder(t *testing.T) {
	t.Parallel()
	u := h.admin()
	root := folder(t, "emptied", map[string]string{"a.md": "# A\n\nThe heron stands in the reeds.\n"})
	u.ingest(t, "emptied", root)
	if err := os.Remove(filepath.Join(root, "a.md")); err != nil {
		t.Fatal(err)
	}
	u.fails(t, 2, []string{"no documents", "nothing was changed", "--allow-empty"}, "ingest", root, "-c", "emptied", "--json")
	if hits := u.search(t, "emptied", "heron"); len(hits) != 1 {
		t.Errorf("after the refused ingestion: %q, want the document as before", documents(hits))
	}
	if report := u.ingest(t, "emptied", root, "--allow-empty"); report.Documents.Deleted != 1 || report.Chunks.Total != 0 {
		t.Errorf("with --allow-empty: %+v", report)
	}
	u.fails(t, 2, []string{"does not exist"}, "ingest", filepath.Join(root, "absent"), "-c", "emptied")
}

// testOddFiles ingests what folders hold that nobody meant: each odd file ends in quarantine with a reason, and the good one is found.
func (h *house) testOddFiles(t *testing.T) {
	t.Parallel()
	u := h.admin()
	outside := folder(t, "outside", map[string]string{"secret.txt": "The password is rosebud.\n"})
	root := folder(t, "odd", map[string]string{
		"good.txt":       "The kingfisher dives from the willow.\n",
		"empty.txt":      "",
		"latin.txt":      "caf\xe9 cr\xe8me at the caf\xe9\n",
		"noise.txt":      noise(1501),
		"strange.qqq":    "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00",
		"folder/sub.txt": "The otter sleeps on its back.\n",
	})
	link(t, root, filepath.Join(root, "loop"))
	link(t, "ring", filepath.Join(root, "ring"))
	link(t, filepath.Join(outside, "secret.txt"), filepath.Join(root, "leak.txt"))
	link(t, outside, filepath.Join(root, "leaks"))

	report := u.ingest(t, "odd", root)
	reasons := map[string]string{}
	for _, q := range report.Quarantine {
		reasons[q.Document] = q.Reason
	}
	for path, word := range map[string]string{
		"noise.txt": "", "strange.qqq": "", "loop": "loop", "ring": "loop", "leak.txt": "leaves the folder", "leaks": "leaves the folder",
	} {
		if reason := reasons[path]; reason == "" || !strings.Contains(reason, word) {
			t.Errorf("%s: reason %q, want one with %q", path, reason, word)
		}
	}
	for _, path := range []string{"good.txt", "folder/sub.txt", "latin.txt"} {
		if reason, ok := reasons[path]; ok {
			t.Errorf("%s is in quarantine: %s", path, reason)
		}
	}
	for query, want := range map[string]string{"kingfisher willow": "good.txt", "otter sleeps": "folder/sub.txt", "café crème": "latin.txt"} {
		if hits := u.search(t, "odd", query); len(hits) == 0 || hits[0].Document != want {
			t.Errorf("search for %q: %q, want %s first", query, documents(hits), want)
		}
	}
	if hits := u.search(t, "odd", "rosebud", "--mode", "keyword"); len(hits) != 0 {
		t.Errorf("what lies outside the folder is found: %+v", hits)
	}
	again := u.ingest(t, "odd", root)
	if diff := cmp.Diff(report.Quarantine, again.Quarantine); diff != "" || again.Documents.Quarantined != report.Documents.Quarantined {
		t.Errorf("quarantine of the second ingestion (-first +second):\n%s", diff)
	}
	u.fails(t, 3, nil, "ingest", root, "-c", "odd", "--strict", "--json")
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skipf("this system makes no symbolic links: %v", err)
	}
}

// testLongLine ingests single lines: one of 200 MB as a file and in a JSONL file, which nobody may hold in memory, and one of a
// megabyte, which is a document like others.
func (h *house) testLongLine(t *testing.T) {
	t.Parallel()
	u := h.admin()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "huge", "fine.txt"), strings.Repeat("The curlew calls over the mud. ", (1<<20)/31))
	longLine(t, filepath.Join(dir, "huge", "line.txt"), "", "\n")
	records := filepath.Join(dir, "records.jsonl")
	longLine(t, records, `{"_id":"big","text":"`, "\"}\n"+`{"_id":"small","text":"The plover runs."}`+"\n")

	before := h.worker.peak(t)
	for _, path := range []string{filepath.Join(dir, "huge"), records} {
		log := filepath.Join(dir, "log")
		cmd := launch(t, u.command("ingest", path, "-c", "long"), log)
		peak := 0
		await(t, 3*time.Minute, "the ingestion of "+path, func() bool {
			peak = max(peak, cmd.peak(t))
			return cmd.ended()
		})
		if !cmd.said("1 added") || !cmd.said("1 quarantined") || !cmd.said("larger than 32 MiB") {
			t.Errorf("%s: %s", path, cmd.tail())
		}
		if t.Logf("the command used %d MB", peak>>20); peak > 256<<20 {
			t.Errorf("%s: the command used %d MB", path, peak>>20)
		}
	}
	grown := h.worker.peak(t) - before
	if t.Logf("the worker grew by %d MB", grown>>20); grown > 200<<20 {
		t.Errorf("the worker grew by %d MB", grown>>20)
	}
	if hits := u.search(t, "long", "plover", "--mode", "keyword"); len(hits) != 1 || hits[0].Document != "small" {
		t.Errorf("beside the long line: %q", documents(hits))
	}
}

// testNames requires that names which Weaviate or the platform cannot have are refused, in words, before anything is uploaded.
func (h *house) testNames(t *testing.T) {
	t.Parallel()
	u := h.admin()
	root := folder(t, "names", map[string]string{"a.txt": "The snipe drums.\n"})
	for _, name := range []string{"1st", "über", "a b", "../up", "docs-v2", strings.Repeat("x", 64), "a/b", "Tenuto;drop"} {
		u.fails(t, 2, []string{"collection name"}, "ingest", root, "-c", name, "--json")
	}
	u.ingest(t, "Snipe_Notes", root)
	if hits := u.search(t, "snipe-notes", "snipe"); len(hits) != 1 {
		t.Errorf("under the other spelling of the name: %q", documents(hits))
	}
}

// testChinese requires that a Chinese question finds its passage among others, also by keywords alone.
func (h *house) testChinese(t *testing.T) {
	t.Parallel()
	u := h.admin()
	root := folder(t, "chinese", map[string]string{
		"tea.md":   "# 茶\n\n龙井茶产于杭州西湖，清明前采摘的嫩芽最为珍贵。\n",
		"rail.md":  "# 铁路\n\n京张铁路由詹天佑设计，一九〇九年通车，在青龙桥采用人字形线路。\n",
		"stars.md": "# 天文\n\n张衡发明了浑天仪，用水力推动它转动。\n",
		"rain.md":  "# 气象\n\n梅雨季节通常在六月中旬到七月上旬，江南一带阴雨连绵。\n",
		"other.md": "# Railways\n\nThe railway to the mountains was opened in spring.\n",
	})
	u.ingest(t, "chinese", root)
	for question, want := range map[string]string{
		"谁设计了京张铁路？": "rail.md", "龙井茶在哪里出产？": "tea.md", "梅雨季节是什么时候？": "rain.md", "浑天仪是谁发明的？": "stars.md",
	} {
		for _, mode := range []string{"hybrid", "keyword"} {
			if hits := u.search(t, "chinese", question, "--mode", mode); len(hits) == 0 || hits[0].Document != want {
				t.Errorf("%s search for %s: %q, want %s first", mode, question, documents(hits), want)
			}
		}
	}
	answer := decode[rest.Answered](t, u.run(t, "ask", "谁设计了京张铁路？", "-c", "chinese", "--json"))
	if !strings.Contains(answer.Answer, "詹天佑") || len(answer.Citations) == 0 || answer.Citations[0].Document != "rail.md" {
		t.Errorf("answer %+v", answer)
	}
}

// fanOut is how many documents make more buckets than one workflow works on by itself.
const fanOut = 8000

// testFanOut ingests many small documents and holds every history to the limits of the design.
func (h *house) testFanOut(t *testing.T) {
	t.Parallel()
	u := h.admin()
	report := u.ingest(t, "many", notes(t, fanOut))
	if want := (schemas.DocumentCounts{Total: fanOut, Added: fanOut}); report.Documents != want || report.Chunks.Total != fanOut {
		t.Errorf("%+v, %+v", report.Documents, report.Chunks)
	}
	sameAsManifests(t, h, "default", "many", fanOut)
	root := history(t, h, report.WorkflowID)
	shards := children(root)
	if len(shards) < 2 {
		t.Errorf("%d child workflows", len(shards))
	}
	small(t, report.WorkflowID, root)
	for _, shard := range shards {
		small(t, shard, history(t, h, shard))
	}
}
