// Command bench measures the platform against a floor that is measured in the same run, so that its figures hold on any machine and
// under any load: what it judges are ratios, never times.
//
// It runs under the embedded stack's servers and starts the worker with the gateway itself, as a process of its own, because
// memory is judged by process:
//
//	tenuto-stack run --parts temporal,weaviate,s3 -- tenuto-bench
//
// Each measurement is one JSON object on a line of stdout: its name, how often it was repeated (n), its figures, and where there is
// one the floor, the ratio, its bound and whether that holds. Progress goes to stderr. The exit status is 1 if a ratio misses its
// bound. Flags choose the measurements and set the bounds.
//
// ingest: wall time of "tenuto ingest FILE", from the start of the command to its end: reading, upload, parsing, chunking, embedding
// with local/lexical, analysing, writing, reading back, and waiting until every vector is found. The corpus is SciFact where
// TENUTO_TESTDATA has it, generated otherwise. The floor is what nobody can do without: the same objects (read from the class that
// the ingestion made: same properties, same vectors) into a new class of the same definition in the same Weaviate, by its Go client over
// gRPC, 200 a batch, four batches at once, until every object counts and every vector is indexed. Both run in turn, into fresh
// classes, with every text changed from round to round so that no recorded vector is used again. The ratio is the median over
// the rounds. Beside it stand the time that the embedder takes for the same texts on one core, and the ratio of a second ingestion of
// the same file into another collection, which finds every vector recorded and so has its embeddings free.
//
// memory: resident memory of worker and gateway, one process, its peak (VmHWM) and what it settles at (VmRSS), after 500
// documents of 60 words and after 50,000. The bound is on the growth of the peak, in MB: memory must not follow the input. The history of
// the large ingestion and of each of its children is counted against the 4,000 events that are promised, and a second ingestion
// must embed nothing.
//
// chains: a run of three generate steps, one after another, over HTTP through the gateway, each a call of a server in this process that waits
// 20 ms, every response recorded. In lanes the floor is this program making the same three calls without recording anything; the ratio is that of
// the median times at concurrency 1, and of runs a second at 16 and 64. As workflows of their own, at 1 and 16, the floor is an empty workflow with as
// many local activities, three of which take as long; the ratio is that of runs a second. Each pair is measured three times in turn, and the median ratio counts.
//
// pass-through: a chat completion of a configured model through the gateway, recorded before its answer ends, at 1, 16 and 64 at a time. The
// floor is a reverse proxy of the standard library, a process of its own as the gateway is, that puts each answer into the same store before
// it passes it on. The model's server answers at once. The ratios are those of the median times, of the 99th percentiles and of calls a second. Beside
// them stand the ratios to the same proxy without records, and the times of a chain of one step, which is a run in a lane. A load of calls that
// goes on until records are moved to their own keys, which the gateway puts off for 45 seconds, is measured apart.
//
// ask: the time from a question over HTTP (kept alive) to its answer, less what the model took, which is measured at the model: a server
// in this process that waits 20 ms. The collection is the Go documentation, embedded by local/lexical. The floor is a workflow that does
// nothing: as many local activities (three), started eagerly, hosted by the process that starts it, waited for by its starter. Both
// alternate. The ratio is that of the medians; the 95th percentiles are reported.
//
// Retrieval quality is no benchmark but a test: activities/retrieve.
package main
