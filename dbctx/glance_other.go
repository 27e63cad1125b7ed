//go:build !unix

package dbctx

import "net"

// glance cannot look here; the server is asked each time.
func glance(net.Conn) sight { return news }
