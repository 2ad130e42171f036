package openaimodel

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// chatPart is an image, a sound or a document as part of a message. Code: invalid, for what chat completions do not take.
func chatPart(role string, media model.Media) (any, error) {
	switch kind, form, _ := strings.Cut(media.Type, "/"); {
	case role != model.RoleUser:
		return nil, schemas.Errorf(schemas.Invalid, "OpenAI's chat completions take media from the user only; this one is of the role %s", role)
	case kind == "image":
		return map[string]any{"type": "image_url", "image_url": map[string]string{"url": address(media)}}, nil
	case media.URL != "":
		return nil, schemas.Errorf(schemas.Invalid, "OpenAI's chat completions fetch images only; send the %s itself", media.Type)
	case kind == "audio":
		return map[string]any{"type": "input_audio", "input_audio": map[string]string{
			"data": base64.StdEncoding.EncodeToString(media.Data), "format": audioFormat(form),
		}}, nil
	}
	return map[string]any{"type": "file", "file": map[string]string{"filename": filename(media), "file_data": address(media)}}, nil
}

// inputPart is the same for the Responses API.
func inputPart(media model.Media) map[string]string {
	switch {
	case strings.HasPrefix(media.Type, "image/"):
		return map[string]string{"type": "input_image", "image_url": address(media)}
	case media.URL != "":
		return map[string]string{"type": "input_file", "file_url": media.URL}
	}
	return map[string]string{"type": "input_file", "filename": filename(media), "file_data": address(media)}
}

// address is where the server finds the media: an URL or, for what the request carries itself, a data URL (RFC 2397).
func address(media model.Media) string {
	if media.URL != "" {
		return media.URL
	}
	return "data:" + media.Type + ";base64," + base64.StdEncoding.EncodeToString(media.Data)
}

func audioFormat(form string) string {
	switch form {
	case "mpeg":
		return "mp3"
	case "x-wav", "wave", "vnd.wave":
		return "wav"
	}
	return form
}

// filename makes up a name, which the API insists on; its ending says what the content is.
func filename(media model.Media) string {
	endings := map[string]string{"application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md", "text/html": ".html", "text/csv": ".csv", "application/json": ".json"}
	return "document" + endings[media.Type]
}

// isStrict reports whether a schema keeps the rules of strict structured outputs that OpenAI checks first: every object names its
// properties, requires them all and allows no others (platform.openai.com/docs/guides/structured-outputs). With a schema that does not
// keep them the server would decline the request; without strict it takes the schema as a wish, and the answer is checked here anyway.
func isStrict(schema json.RawMessage) bool {
	var v any
	return json.Unmarshal(schema, &v) == nil && strictValue(v)
}

func strictValue(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !strictValue(item) {
				return false
			}
		}
	case map[string]any:
		if v["type"] == "object" && !strictObject(v) {
			return false
		}
		for _, item := range v {
			if !strictValue(item) {
				return false
			}
		}
	}
	return true
}

func strictObject(object map[string]any) bool {
	properties, _ := object["properties"].(map[string]any)
	required, _ := object["required"].([]any)
	if object["additionalProperties"] != false || len(required) != len(properties) {
		return false
	}
	for _, name := range required {
		if name, ok := name.(string); !ok || properties[name] == nil {
			return false
		}
	}
	return true
}
