package jobs

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// leadLimit is the most bytes of a lead that is fetched, as of one that is sent.
const leadLimit = 1 << 20

// fetchLead asks the Graph API for a lead. The token goes into a header: addresses end up in logs.
func (c *caller) fetchLead(ctx context.Context, h schema.Hook, ref string, now time.Time) (answer, []byte) {
	base := h.GraphURL
	if base == "" {
		base = hook.GraphURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, hook.LeadURL(base, ref), nil)
	if err != nil {
		return answer{text: "the address given with --graph-url cannot be used"}, nil
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "leadmill")
	request.Header.Set("Authorization", "Bearer "+h.AccessToken)
	response, err := c.clients[way{private: h.AllowPrivate}].Do(request)
	if ctx.Err() != nil && err != nil {
		return answer{interrupted: true}, nil
	}
	if err != nil {
		return answer{text: whyNot(err)}, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, leadLimit+1))
	switch {
	case ctx.Err() != nil && err != nil:
		return answer{interrupted: true}, nil
	case err != nil:
		return answer{text: "the answer did not arrive whole"}, nil
	case len(body) > leadLimit:
		return answer{text: "the answer is too large for a lead"}, nil
	}
	return answer{status: response.StatusCode, retryAfter: retryAfter(response.Header, now)}, bytes.ToValidUTF8(body, []byte("\uFFFD"))
}
