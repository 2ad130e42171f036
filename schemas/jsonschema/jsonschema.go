// Package jsonschema embeds the JSON Schemas of a project's files, for editors and for whoever writes such files by program.
package jsonschema

import "embed"

// Files holds tenuto.json, models.json, chain.json (of chains/*.yaml) and prompt.json (of the front matter of prompts), all of
// draft 2020-12. A test of activities/project keeps them in step with what the reader of projects knows.
//
//go:embed *.json
var Files embed.FS
