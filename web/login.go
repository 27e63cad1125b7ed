package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// door is where people log in.
//
// Tries are bounded for each address they come from and for each account they go to; one that succeeds is given back.
// Passwords are checked a few at a time, since each takes 19 MiB.
type door struct {
	*Server
	addresses, accounts *limiter
	slots               chan struct{}
}

func (s *Server) newDoor() *door {
	return &door{
		Server:    s,
		addresses: newLimiter(30, 2*time.Second, 10_000),
		accounts:  newLimiter(10, 10*time.Second, 10_000),
		slots:     make(chan struct{}, 4),
	}
}

// loginPage is the form, filled in again after a try that failed.
type loginPage struct{ Email, Next, Error string }

func (d *door) form(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"), "/")
	if d.config.Dev {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	d.answer(w, r, http.StatusOK, loginPage{Next: next})
}

func (d *door) answer(w http.ResponseWriter, r *http.Request, status int, p loginPage) {
	d.render(w, visit{r: r}, status, "login", view{Title: "Log in", Page: p})
}

// enter logs in: a new session for whoever knows the password, whatever session there was before.
func (d *door) enter(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, formLimit) {
		return
	}
	p := loginPage{
		Email: strings.ToLower(searchText(r.PostFormValue("email"))),
		Next:  localPath(r.PostFormValue("next"), "/"),
	}
	address := addressOf(r)
	if wait := d.wait(address, p.Email); wait > 0 {
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		p.Error = fmt.Sprintf("Too many tries. Try again in %s.", span(time.Duration(seconds)*time.Second))
		d.answer(w, r, http.StatusTooManyRequests, p)
		return
	}
	u, err := d.check(r.Context(), p.Email, r.PostFormValue("password"))
	if errors.Is(err, errLogin) {
		p.Error = "The e-mail address or the password is wrong."
		d.answer(w, r, http.StatusForbidden, p)
		return
	}
	now := d.now()
	d.addresses.giveBack(address, now)
	d.accounts.giveBack(p.Email, now)
	if err == nil {
		err = d.open(w, r, u)
	}
	if err != nil {
		d.fail(w, visit{r: r, err: err})
		return
	}
	d.log.Info("logged in", "user", u.ID)
	http.Redirect(w, r, p.Next, http.StatusSeeOther)
}

// wait takes a try from both limits; above 0 there was none.
func (d *door) wait(address, account string) time.Duration {
	now := d.now()
	if wait := d.addresses.take(address, now); wait > 0 {
		return wait
	}
	return d.accounts.take(account, now)
}

// check returns the active user with this password, or errLogin. It takes as long for one that does not exist.
func (d *door) check(ctx context.Context, email, password string) (u schema.User, err error) {
	err = dbctx.Run(ctx, d.db, func(ctx context.Context, tx *dbctx.Tx) error {
		u, err = schema.UserByEmail(ctx, tx, email)
		return err
	}, dbctx.ReadOnly())
	if err != nil && !errors.Is(err, schema.ErrNotFound) {
		return u, err
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return u, ctx.Err()
	}
	if !checkPassword(u.PasswordHash, password) || !u.Active {
		return u, errLogin
	}
	return u, nil
}

// open starts a session and ends the one the browser came with.
func (d *door) open(w http.ResponseWriter, r *http.Request, u schema.User) error {
	token, hash := newToken()
	now := d.now().UTC()
	err := dbctx.Run(r.Context(), d.db, func(ctx context.Context, tx *dbctx.Tx) error {
		if old := d.tokenOf(r); old != "" {
			if err := schema.DeleteSession(ctx, tx, old); err != nil {
				return err
			}
		}
		return schema.InsertSession(ctx, tx, hash, u.ID, now, now.Add(sessionLife))
	})
	if err == nil {
		http.SetCookie(w, d.cookie(token))
	}
	return err
}

// leave logs out.
func (d *door) leave(w http.ResponseWriter, r *http.Request) {
	if token := d.tokenOf(r); token != "" {
		err := dbctx.Run(r.Context(), d.db, func(ctx context.Context, tx *dbctx.Tx) error {
			return schema.DeleteSession(ctx, tx, token)
		})
		if err != nil {
			d.fail(w, visit{r: r, err: err})
			return
		}
	}
	http.SetCookie(w, d.cookie(""))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// addressOf is where a request comes from; of an IPv6 address the network, since one machine has a whole one.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	return networkOf(ip)
}

func networkOf(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
