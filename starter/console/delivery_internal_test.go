package console

import (
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestDeliveryOf(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]schemas.Delivery{
		"not delivered yet":                               {State: schemas.DeliveryPending},
		"not delivered yet, 1 attempt: status 500":        {State: schemas.DeliveryPending, Attempts: 1, Detail: "status 500"},
		"delivered to https://example.com, 2 attempts":    {State: schemas.Delivered, To: "https://example.com", Attempts: 2},
		"refused, 1 attempt: it wants no more":            {State: schemas.DeliveryRefused, Attempts: 1, Detail: "it wants no more"},
		"given up, 23 attempts: it cannot be reached":     {State: schemas.DeliveryGivenUp, Attempts: 23, Detail: "it cannot be reached"},
		"given up, 0 attempts: run r has no record, ever": {State: schemas.DeliveryGivenUp, Detail: "run r has no record, ever"},
	} {
		if got := deliveryOf(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
