//go:build !amd64 && !arm64

package dbctx

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine tells goroutines apart by the number in "goroutine 42 [running]:".
func goroutine() uintptr {
	var text [64]byte
	fields := bytes.Fields(text[:runtime.Stack(text[:], false)])
	n, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return uintptr(n)
}
