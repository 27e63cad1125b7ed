package hook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"github.com/leadmill/leadmill/lead/intake"
)

// GraphURL is where leads are fetched unless a hook says otherwise.
const GraphURL = "https://graph.facebook.com/v24.0"

// graphFields are what a token with leads_retrieval may read. Those of the ad need more permissions; its ids come with
// the notification.
const graphFields = "id,created_time,form_id,field_data,custom_disclaimer_responses,is_organic,platform"

// LeadURL is where the lead with this leadgen_id is fetched. It holds no secret.
func LeadURL(base, id string) string {
	return base + "/" + url.PathEscape(id) + "?fields=" + url.QueryEscape(graphFields)
}

// GraphAnswer is what an answer of the Graph API means.
type GraphAnswer struct {
	Fetched bool   // the body is the lead
	Again   bool   // try later
	Flag    bool   // no lead of this hook can be fetched before a person has done something
	Reason  string // why it is not the lead, and what to do; "" if it is. It repeats nothing of the answer but numbers
}

// Codes of errors, https://developers.facebook.com/docs/graph-api/guides/error-handling
var (
	graphToken  = []int{102, 190}
	graphLimits = []int{4, 17, 32, 341, 368, 613}
	graphFaults = []int{1, 2}
)

const (
	graphNotThere   = 100
	graphPermission = 10 // and 200 to 299
	graphUseLimits  = 80 // and three digits more: limits by what the app is used for
)

// JudgeGraph reads an answer to the fetch of a lead. status 0 is no answer.
func JudgeGraph(status int, body []byte) GraphAnswer {
	code, transient := graphError(body)
	is := func(codes []int) bool { return slices.Contains(codes, code) }
	says := fmt.Sprintf("Meta answered %d, code %d", status, code)
	switch {
	case status == 200 && code == 0:
		return judgeLead(body)
	case is(graphToken):
		return GraphAnswer{Flag: true, Reason: says + ": the access token has expired or was revoked; give a new one with leadmill hook rotate meta"}
	case is(graphLimits), code/1000 == graphUseLimits:
		return GraphAnswer{Again: true, Reason: says + ": too many calls"}
	case transient, is(graphFaults), status >= 500, status == 429, status == 408:
		return GraphAnswer{Again: true, Reason: says + ": it could not answer"}
	case code == graphPermission, code >= 200 && code <= 299, status == 401, status == 403:
		return GraphAnswer{Flag: true, Reason: says + ": the token may not read leads; it needs leads_retrieval and access to the leads of the page"}
	case code == graphNotThere:
		return GraphAnswer{Reason: says + ": there is no such lead, or the token may not see it; test leads and deleted ones cannot be fetched"}
	case status == 0:
		return GraphAnswer{Again: true, Reason: "no answer from Meta"}
	default:
		return GraphAnswer{Reason: says + ": look at the address given with --graph-url"}
	}
}

func judgeLead(body []byte) GraphAnswer {
	members, err := intake.Decode(body)
	named := slices.ContainsFunc(members, func(m intake.Member) bool { return m.Key == "id" || m.Key == "field_data" })
	if err != nil || !named {
		return GraphAnswer{Again: true, Reason: "the answer is not a lead: look at the address given with --graph-url"}
	}
	return GraphAnswer{Fetched: true}
}

// graphError reads the error of an answer; code 0 if it tells of none.
func graphError(body []byte) (code int, transient bool) {
	var answer struct {
		Error *struct {
			Code      int  `json:"code"`
			Transient bool `json:"is_transient"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == nil {
		return 0, false
	}
	return answer.Error.Code, answer.Error.Transient
}
