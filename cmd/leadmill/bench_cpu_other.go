//go:build !linux

package main

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
)

// cpu is known on Linux only.
type cpu struct{}

func startCPU(context.Context, *dbctx.DB) cpu { return cpu{} }

func (cpu) each(int) (client, server *float64) { return nil, nil }
