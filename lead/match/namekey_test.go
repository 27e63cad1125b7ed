package match

import (
	"fmt"
	"testing"
	"unicode/utf8"
)

func TestNameKey(t *testing.T) {
	tests := []struct{ name, want string }{
		{"", ""},
		{"  Anna \t\u00a0 Alder ", "anna alder"},
		{"JÜRGEN GROẞ", "jurgen gross"},
		{"Søren Ægir", "soren aegir"},
		{"Œuvre Łukasz Đorđević Þóra", "oeuvre lukasz dordevic thora"},
		{"İpek Işık", "ipek isik"},
		{"ΕΛΈΝΗΣ", "ελενησ"},
		{"Ольга", "ольга"},
		{"美咲", "美咲"},
		{"O’Donoghue", "o'donoghue"},
		{"Ａｎｎａ", "anna"},
		{"An\u200bna\x00", "anna"},
	}
	for _, tt := range tests {
		if got := NameKey(tt.name); got != tt.want {
			t.Errorf("NameKey(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzNameKey(f *testing.F) {
	for _, s := range []string{"Jürgen", "ẞ İ Ω", "a\xffb", "\u0345\u03b9", "한나", " \u3000 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once := NameKey(name)
		if again := NameKey(once); again != once {
			t.Errorf("NameKey(%q) = %q, and folded again %q", name, once, again)
		}
		if !utf8.ValidString(once) {
			t.Errorf("NameKey(%q) = %q, not valid UTF-8", name, once)
		}
	})
}

func ExampleNameKey() {
	fmt.Println(NameKey("  Jürgen  Strauß "))
	// Output: jurgen strauss
}
