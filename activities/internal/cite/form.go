package cite

import "encoding/json"

// NoAnswer is the whole answer of a model that finds nothing in the passages.
const NoAnswer = "The documents do not answer this."

// AnswerSchemaName names AnswerSchema towards providers.
const AnswerSchemaName = "cited_answer"

// AnswerSchema returns the JSON Schema of an answer with citations. It keeps to what OpenAI's strict mode allows: every property
// required, no others.
func AnswerSchema() json.RawMessage {
	return json.RawMessage(`{"type":"object","additionalProperties":false,"required":["answer","citations"],"properties":{` +
		`"answer":{"type":"string"},` +
		`"citations":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["index","quote"],` +
		`"properties":{"index":{"type":"integer"},"quote":{"type":"string"}}}}}}`)
}
