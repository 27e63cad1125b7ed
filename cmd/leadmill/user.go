package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/schema"
	"github.com/leadmill/leadmill/web"
)

var roles = []string{"admin", "operator", "viewer"}

func (a *app) userCommand() *cobra.Command {
	var u schema.User
	var fromStdin bool
	add := a.jsonFlag(&cobra.Command{
		Use: "add EMAIL", Short: "Make a user who owns leads and may log in", Args: cobra.ExactArgs(1),
		Long: "Makes a user and asks for the password. New leads are shared out by weight; a\n" +
			"weight of 0 gets none. Viewers look, operators retry and release, admins do all.",
		Example: "  leadmill user add ada@example.com --role operator --weight 3",
		RunE: func(c *cobra.Command, args []string) error {
			u.Email = args[0]
			return a.userAdd(c.Context(), u, fromStdin)
		},
	})
	add.Flags().StringVar(&u.Role, "role", "viewer", strings.Join(roles, ", "))
	add.Flags().StringVar(&u.Name, "name", "", "as others see it")
	add.Flags().IntVar(&u.Weight, "weight", 1, "share of new leads, 0 to 1000")
	add.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin")
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List users", Example: "  leadmill user list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.userList(c.Context()) },
	})
	return group("user", "Who owns leads and who may log in", "  leadmill user add ada@example.com --role admin", add, list)
}

func (a *app) userAdd(ctx context.Context, u schema.User, fromStdin bool) error {
	email, code := contact.Email(u.Email)
	if code != "" {
		return usagef("EMAIL is not an e-mail address")
	}
	if !slices.Contains(roles, u.Role) {
		return usagef("--role is %q, want one of %s", u.Role, strings.Join(roles, ", "))
	}
	if u.Weight < 0 || u.Weight > 1000 {
		return usagef("--weight is %d, want 0 to 1000", u.Weight)
	}
	password, err := a.password(fromStdin)
	if err != nil {
		return err
	}
	u.Email = email
	if u.PasswordHash, err = web.HashPassword(password); err != nil {
		return &usageError{err}
	}
	if u, err = a.join(ctx, u); err != nil {
		return err
	}
	return a.print(newUserLine(u), func() { a.say("user %d may log in as %s", u.ID, u.Role) })
}

// join makes the user and, in the same scope, sees to the leads that waited for somebody.
func (a *app) join(ctx context.Context, u schema.User) (schema.User, error) {
	err := a.withQueue(ctx, func(db *dbctx.DB, q *jobs.Queue) error {
		return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			if u, err = schema.InsertUser(ctx, tx, u, now()); err != nil || u.Weight == 0 {
				return err
			}
			return q.Enqueue(ctx, tx, jobs.RouteLeads{})
		})
	})
	return u, err
}

// password asks twice, where somebody can answer.
func (a *app) password(fromStdin bool) (string, error) {
	if fromStdin {
		lines, err := a.lines(1)
		return lines[0], err
	}
	f, ok := a.stdin.(*os.File)
	if !ok || !isTerminal(f) {
		return "", usagef("there is no terminal to ask for the password: use --password-stdin")
	}
	first, err := a.secret(f, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := a.secret(f, "Once more: ")
	if err == nil && first != second {
		err = usagef("the two passwords differ")
	}
	return first, err
}

// lines reads the first lines of stdin, "" where there are fewer.
func (a *app) lines(n int) ([]string, error) {
	in := bufio.NewReader(io.LimitReader(a.stdin, 4096*int64(n)))
	lines := make([]string, n)
	for i := range lines {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return lines, err
		}
		lines[i] = strings.TrimRight(line, "\r\n")
	}
	return lines, nil
}

func (a *app) secret(f *os.File, prompt string) (string, error) {
	fmt.Fprint(a.stderr, prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.stderr)
	return string(b), err
}

// userLine is a user as printed.
type userLine struct {
	ID     string `json:"id"`
	Email  string `json:"email"`
	Role   string `json:"role"`
	Weight int    `json:"weight"`
	Active bool   `json:"active"`
}

func newUserLine(u schema.User) userLine {
	return userLine{strconv.FormatInt(u.ID, 10), u.Email, u.Role, u.Weight, u.Active}
}

func (a *app) userList(ctx context.Context) error {
	list, rows := []userLine{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		all, err := schema.ListUsers(ctx, tx)
		for _, u := range all {
			l := newUserLine(u)
			list = append(list, l)
			rows = append(rows, []string{l.ID, l.Email, l.Role, strconv.Itoa(l.Weight), strconv.FormatBool(l.Active)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"ID", "EMAIL", "ROLE", "WEIGHT", "ACTIVE"}, rows) })
}
