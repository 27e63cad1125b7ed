package contact

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Email reads an address as people write it: outer blanks, "mailto:" and "Name <address>" are taken off, full-width
// characters are mapped (NFKC), letters are lowered, and the domain becomes ASCII.
//
// The policy is for leads, narrower than RFC 5321: a dot-atom before the @ (letters of any script), a
// domain name with a dot and a top level that is not a number; no quotes, comments or address literals. code
// says what is wrong, "" if nothing is.
func Email(raw string) (address, code string) {
	s := strings.TrimFunc(norm.NFKC.String(strings.ToValidUTF8(raw, "\uFFFD")), isBlank)
	if open, end := strings.LastIndexByte(s, '<'), strings.HasSuffix(s, ">"); open >= 0 && end {
		s = strings.TrimFunc(s[open+1:len(s)-1], isBlank)
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	return parseAddress(s)
}

// Lengths of RFC 5321, 4.5.3.1, in octets.
const (
	longestLocal   = 64
	longestAddress = 254
)

// parseAddress reads an address with nothing around it.
func parseAddress(s string) (address, code string) {
	local, domain, found := strings.Cut(s, "@")
	switch {
	case !found:
		return "", "no_at"
	case strings.Contains(domain, "@"):
		return "", "two_at"
	case local == "":
		return "", "no_local_part"
	case strings.TrimFunc(domain, isBlank) == "":
		return "", "no_domain"
	case strings.ContainsFunc(s, isBlank):
		return "", "space_inside"
	}
	if code := checkLocal(local); code != "" {
		return "", code
	}
	ascii, code := checkDomain(domain)
	if code != "" {
		return "", code
	}
	local = norm.NFKC.String(strings.ToLower(local))
	if len(local) > longestLocal || len(local)+1+len(ascii) > longestAddress {
		return "", "address_too_long"
	}
	return local + "@" + ascii, ""
}

func checkLocal(local string) string {
	switch {
	case strings.HasPrefix(local, "."):
		return "dot_at_start"
	case strings.HasSuffix(local, "."):
		return "dot_at_end"
	case strings.Contains(local, ".."):
		return "double_dot"
	case strings.ContainsFunc(local, func(r rune) bool { return r != '.' && !isAtom(r) }):
		return "bad_character"
	}
	return ""
}

// isAtom is atext of RFC 5322 and, as RFC 6531 allows, letters of other scripts.
func isAtom(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+/=?^_`{|}~-", r)
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

// domains maps as for a look-up (UTS 46, non-transitional) and checks what DNS allows.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true),
	idna.VerifyDNSLength(true), idna.BidiRule(), idna.CheckHyphens(true))

// reservedTops receive no mail: RFC 2606 and RFC 6762.
var reservedTops = []string{"invalid", "local", "localhost", "test"}

func checkDomain(domain string) (ascii, code string) {
	switch {
	case strings.Contains(domain, ".."):
		return "", "double_dot"
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, "."):
		return "", "bad_domain"
	}
	ascii, err := domains.ToASCII(domain)
	if err != nil {
		return "", domainCode(domain)
	}
	dot := strings.LastIndexByte(ascii, '.')
	top := ascii[dot+1:]
	switch {
	case slices.Contains(reservedTops, top):
		return "", "reserved_domain"
	case dot < 0:
		return "", "no_dot_in_domain"
	case len(top) < 2 || strings.Trim(top, "0123456789") == "":
		return "", "bad_domain"
	}
	return ascii, ""
}

// domainCode tells a character that no domain has from a name that is put together wrongly.
func domainCode(domain string) string {
	if strings.ContainsFunc(domain, func(r rune) bool {
		return r < 0x80 && !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '.') || r == '\uFFFD'
	}) {
		return "bad_character"
	}
	return "bad_domain"
}

// EmailKey is what two submissions of one person share: the cleaned address without its +tag.
func EmailKey(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	if bare, _, tagged := strings.Cut(local, "+"); tagged && bare != "" {
		local = bare
	}
	return "e:" + local + "@" + domain
}
