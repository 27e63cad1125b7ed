package contact

import (
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Country reads a country: its two or three letters (ISO 3166), or its name in one of the languages below.
func Country(raw string) (code string, ok bool) {
	folded := foldCountry(raw)
	if code, ok := countries()[folded]; ok {
		return code, true
	}
	if len(folded) != 2 && len(folded) != 3 {
		return "", false
	}
	region, err := language.ParseRegion(folded)
	if err != nil || !region.IsCountry() {
		return "", false
	}
	return region.Canonicalize().String(), true
}

var punctuation = strings.NewReplacer(".", "", ",", "")

// foldCountry drops what does not tell countries apart: case, dots, accents are kept by the tables themselves.
func foldCountry(s string) string {
	s, _ = cleanText(s, false)
	s = strings.ToLower(punctuation.Replace(s))
	return strings.TrimPrefix(strings.TrimSpace(s), "the ")
}

// spoken are the languages that people write their country in.
var spoken = []language.Tag{
	language.English, language.German, language.French, language.Spanish, language.Italian, language.Dutch,
	language.Portuguese, language.Swedish, language.Danish, language.Norwegian, language.Finnish, language.Polish,
	language.Czech, language.Hungarian, language.Romanian, language.Turkish, language.Greek, language.Russian,
	language.Ukrainian, language.Japanese, language.Korean, language.Chinese,
}

// customary are names that no table has.
var customary = map[string]string{
	"uk": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB", "great britain": "GB",
	"britain": "GB", "u k": "GB", "usa": "US", "us": "US", "u s": "US", "u s a": "US", "america": "US",
	"united states of america": "US", "estados unidos de america": "US", "holland": "NL", "brd": "DE", "eire": "IE",
	"republic of ireland": "IE", "czech republic": "CZ", "south korea": "KR", "korea": "KR", "russian federation": "RU",
	"viet nam": "VN", "uae": "AE", "suisse": "CH", "svizzera": "CH", "schweiz": "CH", "oesterreich": "AT", "brasil": "BR",
}

// countries is made at the first question: five thousand names.
var countries = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for _, tag := range spoken {
		namer := display.Regions(tag)
		if namer == nil {
			continue
		}
		for _, region := range regions() {
			if name := foldCountry(namer.Name(region)); name != "" && names[name] == "" {
				names[name] = region.String()
			}
		}
	}
	for name, code := range customary {
		names[name] = code
	}
	return names
})

// regions are all countries that two letters can name.
func regions() (all []language.Region) {
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			r, err := language.ParseRegion(code)
			if err == nil && r.IsCountry() && r.Canonicalize().String() == code {
				all = append(all, r)
			}
		}
	}
	return all
}
