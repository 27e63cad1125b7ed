package main

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// closeDoor lets nobody in any more, and returns when all who were in front of it have come in: the kernel completes connections
// before the program accepts them, and resets those when their listener closes. Who knocks meanwhile is not answered, knocks
// again after a second, and is refused then.
func closeDoor(ctx context.Context, l net.Listener) {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil || !refuseKnocks(raw) {
		return
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for empty := 0; empty < 2; { // at the second look the one that was accepted last is known to the server
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if empty++; waiting(raw) > 0 {
			empty = 0
		}
	}
}

// noSYN drops what begins a connection: a program of the classic BPF that looks at the flags of TCP, at offset 13.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xFFFF},
}

func refuseKnocks(raw syscall.RawConn) (done bool) {
	program := unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]}
	err := raw.Control(func(fd uintptr) {
		done = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) == nil
	})
	return done && err == nil
}

// waiting counts the connections that are not accepted yet: of a listener, that is what the kernel calls unacked.
func waiting(raw syscall.RawConn) (n uint32) {
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Unacked
		}
	})
	return n
}
