//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// cpu is what this process and PostgreSQL, where it runs on this machine, had used at some point.
type cpu struct {
	client     float64 // microseconds
	server     float64 // microseconds
	postmaster int     // process id; 0 if the server is elsewhere
}

// tick is the unit of /proc: a hundredth of a second on every Linux that Go runs on.
const tick = 10_000 // microseconds

func startCPU(ctx context.Context, db *dbctx.DB) cpu {
	c := cpu{client: ownCPU(), postmaster: postmaster(ctx, db)}
	c.server = c.serverCPU()
	return c
}

// each is what was used since, for one of n; nil where it cannot be told.
func (c cpu) each(n int) (client, server *float64) {
	used := (ownCPU() - c.client) / float64(n)
	if c.postmaster == 0 {
		return &used, nil
	}
	served := (c.serverCPU() - c.server) / float64(n)
	return &used, &served
}

func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}

// postmaster is the parent of any backend.
func postmaster(ctx context.Context, db *dbctx.DB) (pid int) {
	if db.Dialect() == dbctx.SQLite {
		return 0
	}
	var backend int
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		backend, err = schema.BackendPID(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if s := readStat(backend); err == nil && s.name == "postgres" {
		return s.parent
	}
	return 0
}

// serverCPU is that of the postmaster, of its living children, and of those it has buried.
func (c cpu) serverCPU() (microseconds float64) {
	if c.postmaster == 0 {
		return 0
	}
	p := readStat(c.postmaster)
	ticks := p.own + p.buried
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if s := readStat(pid); s.parent == c.postmaster {
			ticks += s.own
		}
	}
	return float64(ticks) * tick
}

// stat is the part of /proc/PID/stat that counts, see proc(5).
type stat struct {
	name        string
	parent      int
	own, buried int // ticks
}

func readStat(pid int) (s stat) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s
	}
	open, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if open < 0 || end < open {
		return s
	}
	s.name = string(text[open+1 : end])
	fields := strings.Fields(string(text[end+1:])) // from the third on
	number := func(n int) int { v, _ := strconv.Atoi(fields[n-3]); return v }
	if len(fields) > 15 {
		s.parent, s.own, s.buried = number(4), number(14)+number(15), number(16)+number(17)
	}
	return s
}
