//go:build unix

package dbctx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// pair is the two ends of a connection that stands.
func pair(t *testing.T, network, address string) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// secured is a connection with TLS over another one.
func secured(t *testing.T, ours, theirs net.Conn) (*tls.Conn, *tls.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{proof}, PrivateKey: key}}, SessionTicketsDisabled: true})
	client := tls.Client(ours, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// becomes polls: what the other end does takes its time to arrive.
func becomes(wire net.Conn, want sight) (got sight) {
	deadline := time.Now().Add(10 * time.Second)
	for got = glance(wire); got != want && time.Now().Before(deadline); got = glance(wire) {
		<-time.After(time.Millisecond)
	}
	return got
}

func TestAGlanceSeesWhatHasComeAndTakesNothing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (ours, theirs net.Conn){
		"TCP":  func(t *testing.T) (net.Conn, net.Conn) { return pair(t, "tcp", "127.0.0.1:0") },
		"unix": func(t *testing.T) (net.Conn, net.Conn) { return pair(t, "unix", filepath.Join(t.TempDir(), "s")) },
		"TLS": func(t *testing.T) (net.Conn, net.Conn) {
			ours, theirs := pair(t, "tcp", "127.0.0.1:0")
			return secured(t, ours, theirs)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := open(t)
			for range 3 {
				if got := glance(ours); got != quiet {
					t.Errorf("nothing has come: %d, want quiet (%d)", got, quiet)
				}
			}
			if _, err := theirs.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if got := becomes(ours, news); got != news {
				t.Errorf("something has come: %d, want news (%d)", got, news)
			}
			one := make([]byte, 1)
			if n, err := ours.Read(one); n != 1 || err != nil || one[0] != 'x' {
				t.Errorf("read %q, %v; want what has come", one[:n], err)
			}
			if got := glance(ours); got != quiet {
				t.Errorf("it has been read: %d, want quiet (%d)", got, quiet)
			}
		})
	}
}

func TestAGlanceSeesTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ours, theirs *net.TCPConn) error{
		"the other end has closed":   func(_, theirs *net.TCPConn) error { return theirs.Close() },
		"the other end says no more": func(_, theirs *net.TCPConn) error { return theirs.CloseWrite() },
		"the other end is reset": func(_, theirs *net.TCPConn) error {
			if err := theirs.SetLinger(0); err != nil {
				return err
			}
			return theirs.Close()
		},
		"our end has closed": func(ours, _ *net.TCPConn) error { return ours.Close() },
	} {
		ours, theirs := pair(t, "tcp", "127.0.0.1:0")
		if err := end(ours.(*net.TCPConn), theirs.(*net.TCPConn)); err != nil {
			t.Fatal(err)
		}
		if got := becomes(ours, gone); got != gone {
			t.Errorf("%s: %d, want gone (%d)", name, got, gone)
		}
	}
}

// A reader that is left behind holds the wire; a glance does not wait for it.
func TestAGlanceWaitsForNobody(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t, "tcp", "127.0.0.1:0")
	raw, err := ours.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	reads, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		reading := sync.OnceFunc(func() { close(reads) })
		_ = raw.Read(func(fd uintptr) bool { reading(); return peek(int(fd)) != quiet })
	}()
	<-reads
	seen := make(chan sight, 1)
	go func() { seen <- glance(ours) }()
	select {
	case got := <-seen:
		if got != quiet {
			t.Errorf("beside a reader: %d, want quiet (%d)", got, quiet)
		}
	case <-time.After(10 * time.Second):
		t.Error("a glance waits for the reader")
	}
	theirs.Close()
	<-read
}

func TestWhereAGlanceCannotLookTheServerIsAsked(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	if got := glance(ours); got != news {
		t.Errorf("a wire that is no socket: %d, want news (%d)", got, news)
	}
}
