package web

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost of a password's hash, as OWASP recommends for argon2id: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32
)

// Limits of a password.
const (
	shortestPassword = 8    // characters
	longestPassword  = 1000 // bytes
)

// HashPassword makes the stored form of a password: argon2id with a salt of its own, as a PHC string.
func HashPassword(password string) (string, error) {
	if utf8.RuneCountInString(password) < shortestPassword {
		return "", fmt.Errorf("the password is too short, want at least %d characters", shortestPassword)
	}
	if len(password) > longestPassword {
		return "", fmt.Errorf("the password is too long, want at most %d bytes", longestPassword)
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// noPassword is the hash of a password that nobody knows. Checking against it takes as long as checking a user's, so
// the time does not tell whether there is such a user.
const noPassword = "$argon2id$v=19$m=19456,t=2,p=1$gvxXrFsa0ZWDItYAwFymCg$nLOMUbi/crrWybZC/ssx8Mq9xu8syOAyoEdq21Sae9k"

// checkPassword says whether this is the password of the hash. A user without a hash has none that fits.
func checkPassword(hash, password string) bool {
	usable := hash != "" && len(password) <= longestPassword
	if !usable {
		hash, password = noPassword, ""
	}
	p, err := parsePHC(hash)
	if err != nil {
		return false
	}
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1 && usable
}

// phc is a stored argon2id hash. Its cost stands in it, so a change of ours does not lock anybody out.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

var errHash = errors.New("a stored password hash cannot be read")

func parsePHC(hash string) (p phc, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, errHash
	}
	var errSalt, errKey error
	p.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || !p.sane() {
		return p, errHash
	}
	return p, nil
}

// sane keeps a damaged hash from costing gigabytes or a panic.
func (p phc) sane() bool {
	return p.memory >= 8 && p.memory <= 1<<20 && p.passes >= 1 && p.passes <= 100 && p.lanes >= 1 &&
		len(p.salt) >= 8 && len(p.key) >= 16 && len(p.key) <= 64
}
