package web

import (
	"testing"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

func TestMain(m *testing.M) { dbctxtest.Main(m) }
