package contact

// messages are what people read for each code. None repeats the value: it may be shown to others.
var messages = map[string]string{
	"no_at":              "The e-mail address has no @.",
	"two_at":             "The e-mail address has more than one @.",
	"no_local_part":      "The e-mail address has nothing before the @.",
	"no_domain":          "The e-mail address has nothing behind the @.",
	"no_dot_in_domain":   "The domain of the e-mail address has no dot.",
	"double_dot":         "The e-mail address has two dots in a row.",
	"dot_at_start":       "The e-mail address begins with a dot.",
	"dot_at_end":         "The e-mail address has a dot right before the @.",
	"space_inside":       "The e-mail address has a blank in it.",
	"bad_character":      "The e-mail address has a character that addresses do not have.",
	"bad_domain":         "The domain of the e-mail address is not a domain name.",
	"reserved_domain":    "The domain of the e-mail address is reserved and receives no mail.",
	"address_too_long":   "The e-mail address is longer than addresses can be.",
	"no_contact":         "There is neither an e-mail address nor a telephone number that can be read.",
	"unreadable":         "The telephone number cannot be read.",
	"no_country":         "The telephone number needs a country, or + and the country's code in front.",
	"spreadsheet_number": "A spreadsheet has shortened the telephone number; export the column as text.",
	"spreadsheet_error":  "A spreadsheet shows an error here, or never worked out the formula; mend it and save the file again.",
	"unknown_country":    "The country is not known; use its name or its two letters.",
	"too_long":           "The text was longer than we keep and was shortened.",
	"damaged_text":       "The text was damaged on its way: characters in it were lost.",
	"link_in_name":       "The name holds a link.",
	"many_links":         "The message holds many links.",
}
