// Package intake reads what comes in: JSON objects and the rows of CSV files, whatever they call the fields.
package intake

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spellings are the names that exports, forms and spreadsheets give our fields, folded: Google Contacts, Outlook,
// Salesforce, HubSpot, Zoho, LinkedIn, Meta, and tables in German, French, Spanish, Italian, Dutch and Portuguese.
var spellings = map[string][]string{
	"email": {
		"email", "e mail", "mail", "email address", "e mail address", "e mail 1 value", "your email", "work email",
		"business email", "primary email", "email1", "e mail adresse", "emailadresse", "e mailadresse",
		"email adresse", "mailadresse", "adresse e mail", "adresse email", "courriel", "correo",
		"correo electronico", "indirizzo email",
	},
	"phone": {
		"phone", "phone number", "phonenumber", "telephone", "telephone number", "tel", "phone 1 value",
		"business phone", "work phone", "mobile", "mobile phone", "mobile number", "mobilephone", "cell",
		"cell phone", "primary phone", "home phone", "telefon", "telefonnummer", "telefonnr", "rufnummer", "handy",
		"handynummer", "mobil", "mobilnummer", "mobiltelefon", "telefono", "telefono movil", "movil", "celular",
		"cellulare", "telephone portable", "telefoonnummer", "your phone",
	},
	"first_name": {
		"first name", "firstname", "given name", "forename", "fname", "vorname", "prenom", "nombre", "voornaam",
	},
	"last_name": {
		"last name", "lastname", "family name", "surname", "lname", "nachname", "familienname", "nom",
		"nom de famille", "apellido", "apellidos", "cognome", "achternaam", "sobrenome",
	},
	"name": {
		"name", "full name", "fullname", "your name", "contact name", "display name", "lead name",
		"first and last name", "vor und nachname", "vorname und nachname", "vorname nachname", "nom complet",
		"nombre completo", "nombre y apellidos", "kontakt", "ansprechpartner",
	},
	"company": {
		"company", "company name", "company account", "account", "account name", "organization", "organisation",
		"organization 1 name", "organization name", "company or account", "associated company", "firma",
		"firmenname", "unternehmen", "azienda", "bedrijf", "bedrijfsnaam", "societe", "entreprise", "empresa",
	},
	"title": {
		"job title", "jobtitle", "position", "organization 1 title", "organization title", "role", "occupation",
		"funktion", "berufsbezeichnung", "title",
	},
	"website": {
		"website", "web site", "website url", "url", "homepage", "web page", "website 1 value", "company website",
		"webseite", "personal web page",
	},
	"country": {
		"country", "country region", "country code", "address 1 country", "address country region",
		"mailing country", "business country", "business country region", "land", "pays", "pais", "paese",
	},
	"city": {
		"city", "town", "address 1 city", "address city", "mailing city", "business city", "stadt", "ort",
		"wohnort", "ville", "ciudad", "citta", "cidade", "plaats", "woonplaats",
	},
	"postal_code": {
		"postal code", "postalcode", "zip", "zip code", "zipcode", "postcode", "address 1 postal code",
		"mailing zip postal code", "zip postal code", "business postal code", "plz", "postleitzahl", "code postal",
		"codigo postal",
	},
	"message": {
		"message", "notes", "note", "comment", "comments", "description", "your message", "enquiry", "inquiry",
		"nachricht", "bemerkung", "bemerkungen", "kommentar", "anmerkung",
	},
	"consent": {"consent", "opt in", "gdpr consent", "marketing consent", "einwilligung"},
}

var fieldOf = func() map[string]string {
	of := map[string]string{}
	for field, names := range spellings {
		of[fold(field)] = field
		for _, name := range names {
			of[name] = field
		}
	}
	return of
}()

// Canonical returns our name of the field that a header or a key means, "" if it is none of ours.
func Canonical(header string) string { return fieldOf[fold(header)] }

// rank is how plainly a header names its field, lower is plainer: the name of the contract, then the spellings in
// their order. Of "Mobile Phone" and "Phone" the second is meant; of Outlook's "Title" and "Job Title" too.
func rank(field, header string) int {
	if header == field {
		return 0
	}
	return slices.Index(spellings[field], fold(header)) + 1
}

// fold drops case, accents and punctuation: "E-Mail*" and "e_mail" are "e mail".
func fold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		switch {
		case unicode.IsMark(r):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
