package wire

import (
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Webhooks say how callbacks are signed, and which addresses inside the house they may go to.
type Webhooks struct {
	Keys  notify.Keys
	Allow []string
}

// webhooks reads TENUTO_WEBHOOK_SECRET and TENUTO_WEBHOOK_ALLOW. Without the first there are no callbacks.
func (r *reader) webhooks() (w Webhooks) {
	var err error
	if w.Keys, err = notify.ParseKeys(r.getenv("TENUTO_WEBHOOK_SECRET")); err != nil {
		r.faults = append(r.faults, "TENUTO_WEBHOOK_SECRET: "+schemas.SafeMessage(err))
	}
	for entry := range strings.SplitSeq(r.getenv("TENUTO_WEBHOOK_ALLOW"), ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			w.Allow = append(w.Allow, entry)
		}
	}
	if err := web.CheckAllow(w.Allow); err != nil {
		r.faults = append(r.faults, "TENUTO_WEBHOOK_ALLOW: "+schemas.SafeMessage(err))
	}
	return w
}

// Notify opens what sends callbacks. It makes no call.
func Notify(c Config) *notify.Sender {
	return &notify.Sender{Web: &web.Client{}, Keys: c.Webhooks.Keys, Allow: c.Webhooks.Allow}
}
