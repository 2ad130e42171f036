package blob

import (
	"context"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Text returns the text of a message's content, from the message itself or from where it points. Errors: those of GetContent.
func Text(ctx context.Context, s *Store, content schemas.Content) (string, error) {
	if content.Ref.IsZero() {
		return content.Text, nil
	}
	data, err := GetContent(ctx, s, content.Ref)
	return string(data), err
}
