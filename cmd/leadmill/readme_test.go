package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

var readmeCommand = regexp.MustCompile("(?m)(?:^|`)leadmill ([a-z][^`\n&]*)")

func TestTheCommandsOfTheREADMEExist(t *testing.T) {
	commands := 0
	for _, path := range []string{"../../README.md", "../../CONTRIBUTING.md", "../../Procfile"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range readmeCommand.FindAllStringSubmatch(strings.ReplaceAll(string(text), ": leadmill", "\nleadmill"), -1) {
			commands++
			a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
			c, rest, err := a.commands().Find(strings.Fields(m[1]))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err == nil {
				err = c.ValidateArgs(c.Flags().Args())
			}
			if err != nil || !c.HasParent() {
				t.Errorf("%s: leadmill %s: %v", path, m[1], err)
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands were found, want at least 10", commands)
	}
}
