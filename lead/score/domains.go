package score

import "strings"

// kind is what the domain of an address tells.
type kind int

const (
	noAddress kind = iota
	business
	freeMail
	relay // forwards to an address we do not see
	disposable
)

// kindOf sorts an address by its domain. Subdomains count as their parents.
func kindOf(email string) kind {
	_, domain, ok := strings.Cut(email, "@")
	if !ok || domain == "" {
		return noAddress
	}
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	for rest := domain; strings.Contains(rest, "."); {
		if k, known := domains[rest]; known {
			return k
		}
		if isNational(rest) {
			return freeMail
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	return business
}

// isNational reports whether the domain is a free mail provider under one of
// its national names: yahoo.fr, hotmail.co.uk, yahoo.com.br.
func isNational(domain string) bool {
	brand, tld, _ := strings.Cut(domain, ".")
	if brand != "yahoo" && brand != "hotmail" && brand != "gmx" {
		return false
	}
	tld = strings.TrimPrefix(strings.TrimPrefix(tld, "co."), "com.")
	return len(tld) == 2
}

// domains are the well-known ones; the long tail counts as business.
var domains = listed(map[kind]string{
	freeMail: `
		gmail.com googlemail.com outlook.com outlook.de outlook.fr outlook.es outlook.it hotmail.com live.com live.co.uk
		live.de live.fr live.nl live.it live.se msn.com passport.com yahoo.com ymail.com rocketmail.com aol.com aim.com
		icloud.com me.com mac.com gmx.com gmx.net mail.com email.com usa.com web.de freenet.de t-online.de arcor.de
		posteo.de mailbox.org orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr libero.it virgilio.it tiscali.it
		alice.it tin.it terra.es telefonica.net btinternet.com btopenworld.com talktalk.net sky.com virginmedia.com
		ntlworld.com blueyonder.co.uk comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net
		earthlink.net juno.com sympatico.ca rogers.com shaw.ca bigpond.com bigpond.net.au optusnet.com.au xtra.co.nz
		ziggo.nl kpnmail.nl planet.nl home.nl hetnet.nl skynet.be telenet.be bluewin.ch sunrise.ch hispeed.ch
		telia.com spray.se comhem.se online.no wp.pl o2.pl onet.pl interia.pl op.pl seznam.cz centrum.cz email.cz
		azet.sk freemail.hu citromail.hu abv.bg mail.bg ukr.net i.ua mail.ru bk.ru inbox.ru list.ru yandex.ru yandex.com
		rambler.ru qq.com 163.com 126.com sina.com sohu.com foxmail.com naver.com hanmail.net daum.net nate.com
		rediffmail.com uol.com.br bol.com.br terra.com.br ig.com.br proton.me protonmail.com pm.me tutanota.com tuta.com
		tuta.io fastmail.com fastmail.fm hey.com zoho.com hushmail.com inbox.lv`,
	relay: `privaterelay.appleid.com mozmail.com duck.com simplelogin.com simplelogin.co aleeas.com anonaddy.com anonaddy.me addy.io
		passmail.net 33mail.com`,
	disposable: `
		mailinator.com yopmail.com yopmail.fr yopmail.net guerrillamail.com guerrillamail.net guerrillamail.org
		guerrillamail.biz guerrillamail.de guerrillamailblock.com grr.la sharklasers.com spam4.me 10minutemail.com
		10minutemail.net 20minutemail.com temp-mail.org tempmail.com tempmail.net tempmailo.com tempail.com
		throwawaymail.com trashmail.com trashmail.de trashmail.net trash-mail.com wegwerfmail.de wegwerfmail.net
		wegwerfemail.de einrot.com getnada.com nada.email maildrop.cc mailnesia.com mailcatch.com mailnull.com
		dispostable.com discard.email discardmail.com discardmail.de fakeinbox.com fakemailgenerator.com mintemail.com
		mohmal.com moakt.com mytemp.email emailondeck.com spamgourmet.com spambox.us spambog.com spamex.com
		mailexpire.com tempinbox.com tempr.email jetable.org kasmail.com deadaddress.com inboxbear.com burnermail.io
		incognitomail.org mailsac.com anonbox.net byom.de muellmail.com cool.fr.nf jetable.fr.nf
		armyspy.com cuvox.de dayrep.com fleckens.hu gustr.com jourrapide.com rhyta.com superrito.com teleworm.us`,
})

func listed(lists map[kind]string) map[string]kind {
	in := map[string]kind{}
	for k, list := range lists {
		for _, domain := range strings.Fields(list) {
			in[domain] = k
		}
	}
	return in
}
