package web

import (
	"strings"
	"testing"
)

func TestPasswords(t *testing.T) {
	hash, err := HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash = %s", hash)
	}
	again, err := HashPassword(password)
	if err != nil || again == hash {
		t.Errorf("two hashes of one password are the same, or %v", err)
	}
	// Made by the reference implementation: argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 (its README and test vectors).
	reference := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, c := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"right", hash, password, true},
		{"wrong", hash, password + "r", false},
		{"empty", hash, "", false},
		{"reference", reference, "password", true},
		{"reference, wrong", reference, "Password", false},
		{"no hash", "", "", false},
		{"no hash, any", "", password, false},
		{"the hash of nobody", noPassword, "", false},
		{"other kind", "$2a$10$abcdefghijklmnopqrstuv", password, false},
		{"damaged", hash[:len(hash)-20], password, false},
		{"costs too much", "$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", password, false},
		{"no passes", "$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", password, false},
	} {
		if got := checkPassword(c.hash, c.password); got != c.want {
			t.Errorf("%s: checkPassword = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPasswordLimits(t *testing.T) {
	for password, want := range map[string]string{
		"": "at least 8", "1234567": "at least 8", strings.Repeat("x", 1001): "at most 1000",
	} {
		if _, err := HashPassword(password); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("HashPassword of %d bytes: %v, want %q", len(password), err, want)
		}
	}
	if _, err := HashPassword("pässwörd"); err != nil {
		t.Error(err)
	}
}
