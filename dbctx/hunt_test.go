//go:build plant

package dbctx_test

import (
	"regexp"
	"testing"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// finding is what the hunt tells of one database.
var finding = regexp.MustCompile(`(?s)dbctx and the model disagree.*?Again: [^\n]*`)

// TestPlantedBugsAreFound shows what the agreement of dbctx and the model is worth.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range plants {
		t.Run(bug.Name, func(t *testing.T) {
			out := dbctxtest.Plant(t, bug, dbctxtest.Hunt{
				Test: "TestModel", Args: []string{"-programs", "20000", "-seed", "1"}, Shows: "dbctx and the model disagree",
			})
			for _, found := range finding.FindAllString(out, -1) {
				t.Log(found)
			}
		})
	}
}
