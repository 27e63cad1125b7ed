//go:build amd64 || arm64

package dbctx

// goroutine tells goroutines apart: it is the address of the runtime's record of the one that calls. Two that live at
// the same time never have the same, and it costs a nanosecond where asking the runtime for a number costs a
// microsecond and more, which is why it is written in assembly.
func goroutine() uintptr
