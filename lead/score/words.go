package score

import (
	"strings"
	"unicode"

	"github.com/leadmill/leadmill/lead/match"
)

// hasAny reports whether the text has one of the words, or one of the phrases as a run of whole words. The lists are
// folded as match.NameKey folds.
func hasAny(text string, words map[string]bool, phrases []string) bool {
	found := strings.FieldsFunc(match.NameKey(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	for _, w := range found {
		if words[w] {
			return true
		}
	}
	run := " " + strings.Join(found, " ") + " "
	for _, p := range phrases {
		if strings.Contains(run, " "+p+" ") {
			return true
		}
	}
	return false
}

func set(words string) map[string]bool {
	in := map[string]bool{}
	for _, w := range strings.Fields(words) {
		in[w] = true
	}
	return in
}

// What buyers write, in English, German, French, Spanish, Italian, Dutch, Swedish and Polish.
var intentWords = set(`
	quote quotes quotation price prices pricing demo trial buy buying purchase order ordering budget proposal appointment
	angebot angebote preis preise preisliste kaufen bestellen bestellung termin ruckruf kostenvoranschlag
	devis prix tarif tarifs acheter commander commande rappeler rendez
	presupuesto precio precios comprar pedido cotizacion cita
	preventivo prezzo prezzi acquistare ordine appuntamento
	offerte prijs prijzen kopen bestelling afspraak
	offert pris kopa bestalla
	oferta cena cennik kupic zamowic
`)

var intentPhrases = []string{"call me", "call back", "call after", "get in touch", "talk to sales"}

// Titles of people who decide or sign, in the same languages.
var deciderWords = set(`
	ceo cto cfo coo cio cmo chief president owner founder cofounder partner director head vp principal proprietor chairman chairwoman
	geschaftsfuhrer geschaftsfuhrerin inhaber inhaberin vorstand prokurist prokuristin leiter leiterin
	einkaufsleiter einkaufsleiterin vertriebsleiter vertriebsleiterin
	directeur directrice pdg gerant gerante fondateur fondatrice responsable president presidente proprietaire
	directora gerente dueno duena propietario propietaria fundador fundadora
	direttore direttrice titolare amministratore amministratrice fondatore
	eigenaar eigenaresse bestuurder oprichter
	vd agare direktor grundare
	prezes wlasciciel wlascicielka dyrektor
`)

var deciderPhrases = []string{"vice president", "general manager", "managing partner"}

// What forms send for a ticked box.
var yesWords = set(`yes y true 1 on x ok agreed granted accepted ja j oui o si s sim tak wahr vrai`)
