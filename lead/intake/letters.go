package intake

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"github.com/gogs/chardet"
)

// alphabet is an encoding of other days and whose letters it holds.
type alphabet struct {
	encoding  string                // as htmlindex has it
	languages []string              // letters beyond ASCII of each, small
	scripts   []*unicode.RangeTable // or the scripts whose words have no letter of another
}

// Letters beyond ASCII in the names of people, firms and towns, language by language.
var (
	westernLetters = []string{
		"äöüßé", "àâæçéèêëîïôœùûüÿ", "áéíóúüñçàèòï", "áâãàçéêíóôõúü", "àèéìíîòóùú", "åäöæøéü", "áéíóúýþæðö", "éëïóöüèáí",
		"äöåšžõü",
	}
	centralLetters = []string{"áčďéěíňóřšťúůýžäĺľôŕöü", "ąćęłńóśźżöü", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß"}
	eastAsian      = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul}
)

// alphabets are the encodings that are recognised; of those that explain the letters equally well, the first but for
// those that only experience tells apart.
var alphabets = []alphabet{
	{encoding: "windows-1252", languages: westernLetters}, // holds ISO 8859-1
	{encoding: "macintosh", languages: westernLetters},
	{encoding: "windows-1250", languages: centralLetters},
	{encoding: "iso-8859-2", languages: centralLetters},
	{encoding: "windows-1254", languages: []string{"çğıöşüâî"}},
	{encoding: "windows-1255", scripts: []*unicode.RangeTable{unicode.Hebrew}},
	{encoding: "windows-1251", scripts: []*unicode.RangeTable{unicode.Cyrillic}},
	{encoding: "koi8-r", scripts: []*unicode.RangeTable{unicode.Cyrillic}},
	{encoding: "windows-1253", scripts: []*unicode.RangeTable{unicode.Greek}},
	{encoding: "euc-kr", scripts: eastAsian},
	{encoding: "shift_jis", scripts: eastAsian},
	{encoding: "euc-jp", scripts: eastAsian},
	{encoding: "gb18030", scripts: eastAsian},
	{encoding: "big5", scripts: eastAsian},
}

// eightBit tells an encoding that is not Unicode by the words that come out: those of one language count for it, others
// against it. chardet, which knows how often letters follow each other, is asked where that does not decide; alone
// it is misled by tables, which hold names and no sentences.
func eightBit(b []byte) string {
	cells := oddCells(b)
	var best []string
	most := 0
	for i, a := range alphabets {
		score := a.score(cells)
		if i == 0 || score > most {
			best, most = nil, score
		}
		if score == most {
			best = append(best, a.encoding)
		}
	}
	if len(best) == 1 || slices.Contains(best, alphabets[0].encoding) {
		return best[0]
	}
	return experienced(cells, best)
}

// twins are encodings that chardet names and their kin that Windows saves.
var twins = map[string]string{
	"iso-8859-7": "windows-1253", "iso-8859-8": "windows-1255", "iso-8859-8-i": "windows-1255", "iso-8859-9": "windows-1254",
}

// experienced is the one of several encodings that chardet finds likeliest; of equals the first, for chardet gives its
// guesses in another order every time.
func experienced(cells []byte, among []string) string {
	sure := map[string]int{}
	guesses, _ := chardet.NewTextDetector().DetectAll(cells) // none is an error
	for _, g := range guesses {
		name := strings.ToLower(g.Charset)
		if twin := twins[name]; twin != "" {
			name = twin
		}
		sure[name] = max(sure[name], g.Confidence)
	}
	return slices.MaxFunc(among, func(a, b string) int { return sure[a] - sure[b] })
}

// oddCells are the cells that are not plain ASCII, a line for each.
func oddCells(b []byte) []byte {
	var cells [][]byte
	for _, c := range bytes.FieldsFunc(b, func(r rune) bool { return r < 0x80 && strings.ContainsRune(",;\t\"\r\n", r) }) {
		if bytes.ContainsFunc(c, isOdd) {
			cells = append(cells, c)
		}
	}
	return bytes.Join(cells, []byte("\n"))
}

func isOdd(r rune) bool { return r >= 0x80 }

// typography is what stands beside letters in any language.
const typography = "«»„“”‘’‚–—…•€°§®©™ªº·¿¡\u00A0"

// score counts the words that are of one language, less those that are of none and the signs that no name has.
func (a alphabet) score(cells []byte) (n int) {
	e, err := encodingNamed(a.encoding)
	if err != nil {
		return 0
	}
	text, err := e.NewDecoder().String(string(cells))
	if err != nil {
		return -len(cells)
	}
	for _, r := range text {
		if isOdd(r) && !isLetter(r) && !strings.ContainsRune(typography, r) {
			n--
		}
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !isLetter(r) }) {
		switch {
		case !strings.ContainsFunc(word, isOdd):
		case a.holds(word):
			n++
		default:
			n--
		}
	}
	return n
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

// holds says that a word is of one language, and has no capital behind a small letter.
func (a alphabet) holds(word string) bool {
	small := false
	for _, r := range word {
		if small && unicode.IsUpper(r) {
			return false
		}
		small = small || unicode.IsLower(r)
	}
	if a.scripts != nil {
		foreign := func(r rune) bool { return !unicode.In(r, a.scripts...) && r != 'ー' }
		return !strings.ContainsFunc(word, foreign)
	}
	return slices.ContainsFunc(a.languages, func(letters string) bool {
		foreign := func(r rune) bool { return isOdd(r) && !strings.ContainsRune(letters, unicode.ToLower(r)) }
		return !strings.ContainsFunc(word, foreign)
	})
}
