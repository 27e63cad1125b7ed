package contact

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// EmailKeyPrefix is what the match keys of addresses begin with that begin like this. A +tag is dropped, as it
// is from the keys.
func EmailKeyPrefix(typed string) string {
	typed = strings.ToLower(strings.TrimSpace(typed))
	if local, domain, complete := strings.Cut(typed, "@"); complete {
		local, _, _ = strings.Cut(local, "+")
		return "e:" + local + "@" + domain
	}
	if local, _, tagged := strings.Cut(typed, "+"); tagged && local != "" {
		typed = local
	}
	return "e:" + typed
}

// PhoneKeyPrefixes are what the match keys of telephone numbers may begin with that are typed like this: the
// international form as far as it goes, and a number without its country as it would read in each.
func PhoneKeyPrefixes(typed string) []string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, typed)
	if strings.HasPrefix(strings.TrimSpace(typed), "+") {
		return []string{"p:+" + digits}
	}
	if international, ok := strings.CutPrefix(digits, "00"); ok {
		return []string{"p:+" + international}
	}
	keys := []string{"p:+" + digits}
	for region := range phonenumbers.GetSupportedRegions() {
		n, err := phonenumbers.Parse(typed, region)
		if err == nil && phonenumbers.IsValidNumberForRegion(n, region) {
			keys = append(keys, "p:"+phonenumbers.Format(n, phonenumbers.E164))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
