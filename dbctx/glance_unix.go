//go:build unix

package dbctx

import (
	"errors"
	"net"
	"syscall"
)

// glance looks at what the wire of an idle connection holds, without waiting and without taking it.
func glance(wire net.Conn) sight {
	if wrapped, ok := wire.(interface{ NetConn() net.Conn }); ok { // TLS
		wire = wrapped.NetConn()
	}
	socket, ok := wire.(syscall.Conn)
	if !ok {
		return news
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return gone
	}
	seen := gone
	_ = raw.Control(func(fd uintptr) { seen = peek(int(fd)) }) // not Read: a reader that pgx has left behind would be waited for
	return seen
}

func peek(fd int) sight {
	var one [1]byte
	n, _, err := syscall.Recvfrom(fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return quiet
	case err == nil && n > 0:
		return news
	}
	return gone
}
