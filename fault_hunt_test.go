//go:build plant

package leadmill_test

import (
	"testing"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

func TestPlantedFaultsAreFound(t *testing.T) {
	for _, p := range plantedFaults {
		t.Run(p.bug.Name, func(t *testing.T) {
			dbctxtest.Plant(t, p.bug, dbctxtest.Hunt{Test: p.test, Shows: p.shows, Args: []string{"-faults.light", "-faults.patience", "1m"}})
		})
	}
}
