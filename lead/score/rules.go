package score

import (
	"strings"
	"unicode/utf8"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/match"
)

func emailDomain(l lead.Lead) (int, string) {
	switch kindOf(l.Value("email")) {
	case noAddress:
		return 0, "There is no e-mail address."
	case disposable:
		return 0, "The e-mail address is a disposable one."
	case relay:
		return 14, "The e-mail address is forwarded by a privacy service."
	case freeMail:
		return 12, "The e-mail address is at a free mail provider."
	}
	return 24, "The e-mail address is at a domain that is no mail provider's."
}

// phone trusts a number in international form: it was checked when it was cleaned.
func phone(l lead.Lead) (int, string) {
	switch number := l.Value("phone"); {
	case number == "":
		return 0, "There is no telephone number."
	case number[0] != '+':
		return 4, "The telephone number could not be checked."
	}
	return 14, "There is a telephone number."
}

// long is the length in characters from which a message shows that somebody took time.
const long = 40

func message(l lead.Lead) (int, string) {
	switch text := l.Value("message"); {
	case text == "":
		return 0, "There is no message."
	case hasAny(text, intentWords, intentPhrases):
		return 12, "The message asks for something a buyer asks for."
	case utf8.RuneCountInString(text) >= long:
		return 7, "The message is a longer one."
	}
	return 4, "There is a short message."
}

func company(l lead.Lead) (int, string) {
	if l.Value("company") == "" {
		return 0, "The company is not known."
	}
	return 10, "The company is known."
}

func title(l lead.Lead) (int, string) {
	switch text := l.Value("title"); {
	case text == "":
		return 0, "The job title is not known."
	case hasAny(text, deciderWords, deciderPhrases):
		return 10, "The job title is that of somebody who decides."
	}
	return 5, "The job title is known."
}

func name(l lead.Lead) (int, string) {
	first, last, whole := l.Value("first_name"), l.Value("last_name"), l.Value("name")
	switch {
	case first != "" && last != "", strings.ContainsAny(whole, " \u3000"):
		return 8, "The full name is known."
	case first != "" || last != "" || whole != "":
		return 4, "A part of the name is known."
	}
	return 0, "The name is not known."
}

func repeat(l lead.Lead) (int, string) {
	switch {
	case l.Submissions >= 3:
		return 8, "There were three submissions or more."
	case l.Submissions == 2:
		return 5, "There were two submissions."
	}
	return 0, "There was one submission."
}

func place(l lead.Lead) (int, string) {
	country := l.Value("country") != ""
	town := l.Value("city") != "" || l.Value("postal_code") != ""
	switch {
	case country && town:
		return 6, "The country and the town are known."
	case country:
		return 4, "The country is known."
	case town:
		return 2, "The town is known, the country is not."
	}
	return 0, "The place is not known."
}

func website(l lead.Lead) (int, string) {
	if l.Value("website") == "" {
		return 0, "The website is not known."
	}
	return 4, "The website is known."
}

func consent(l lead.Lead) (int, string) {
	switch answer := l.Value("consent"); {
	case answer == "":
		return 0, "Nothing is known about consent."
	case !yesWords[match.NameKey(answer)]:
		return 0, "Consent was not given, or not clearly."
	}
	return 4, "Consent was given."
}
