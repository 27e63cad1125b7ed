package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) sourceCommand() *cobra.Command {
	var country string
	add := a.jsonFlag(&cobra.Command{
		Use: "add NAME", Short: "Make a source and print its key, once", Args: cobra.ExactArgs(1),
		Long:    "Makes a source of leads. The key is printed now and never again: only its hash\nis stored.",
		Example: "  leadmill source add web-form --country DE",
		RunE:    func(c *cobra.Command, args []string) error { return a.sourceAdd(c.Context(), args[0], country) },
	})
	add.Flags().StringVar(&country, "country", "", "where telephone numbers are from that do not say it")
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List sources", Example: "  leadmill source list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.sourceList(c.Context()) },
	})
	show := a.jsonFlag(&cobra.Command{
		Use: "show NAME", Short: "Show what a source may do", Args: cobra.ExactArgs(1), Example: "  leadmill source show web-form",
		RunE: func(c *cobra.Command, args []string) error { return a.sourceShow(c.Context(), args[0]) },
	})
	return group("source", "Where leads come from", "  leadmill source add web-form", add, list, show,
		a.sourceKeysCommand(), a.sourceRotateCommand(), a.sourceRevokeCommand(), a.sourceLimitCommand(),
		a.sourceFormCommand(), a.originCommand(), a.redirectCommand())
}

// checkName takes what fits into a URL and a log.
func checkName(name string) error {
	if !jobs.ValidName(name) {
		return usagef("a name is 1 to %d letters, digits and signs without blanks and slashes", jobs.LongestName)
	}
	return nil
}

func (a *app) sourceAdd(ctx context.Context, name, country string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if country != "" {
		code, ok := contact.Country(country)
		if !ok {
			return usagef("--country is not known: use two letters, as DE")
		}
		country = code
	}
	key, hash := jobs.NewKey()
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.InsertSource(ctx, tx, name, country, hash, now())
		return err
	})
	if err != nil {
		return err
	}
	return a.printKey(name, key)
}

func (a *app) printKey(name, key string) error {
	v := struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}{name, key}
	return a.print(v, func() {
		a.say("The key of %s, shown this once:", name)
		fmt.Fprintln(a.stdout, key)
	})
}

// sourceLine is a source as it is shown, without its secrets.
type sourceLine struct {
	Name      string    `json:"name"`
	Country   string    `json:"country"`
	Rate      float64   `json:"rate"`
	Burst     int       `json:"burst"`
	PerDay    int       `json:"per_day"`
	MaxBytes  int       `json:"max_bytes"`
	Form      string    `json:"form"` // the path of its form; "" it has none
	Honeypot  string    `json:"honeypot"`
	MinTime   float64   `json:"min_seconds"`
	Origins   []string  `json:"origins"`
	Redirects []string  `json:"redirects"`
	CreatedAt time.Time `json:"created_at"`
}

func lineOf(s schema.Source) sourceLine {
	form := ""
	if s.Form.ID != "" {
		form = "/f/" + s.Form.ID
	}
	return sourceLine{s.Name, s.Country, s.Limits.Rate, s.Limits.Burst, s.Limits.PerDay, s.Limits.MaxBytes,
		form, s.Form.Honeypot, s.Form.MinTime.Seconds(), s.Origins, s.Redirects, s.CreatedAt}
}

func (a *app) sourceList(ctx context.Context) error {
	list, rows := []sourceLine{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		all, err := schema.ListSources(ctx, tx)
		for _, s := range all {
			list = append(list, lineOf(s))
			rows = append(rows, []string{cut(s.Name, 20), s.Country, when(&s.CreatedAt), s.Limits.String()})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"NAME", "COUNTRY", "SINCE", "LIMITS"}, rows) })
}

// theSource reads one by its name.
func (a *app) theSource(ctx context.Context, name string) (s schema.Source, err error) {
	err = a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err = schema.SourceByName(ctx, tx, name)
		return err
	}, dbctx.ReadOnly())
	return s, err
}

func (a *app) sourceShow(ctx context.Context, name string) error {
	s, err := a.theSource(ctx, name)
	if err != nil {
		return err
	}
	line := lineOf(s)
	return a.print(line, func() {
		for _, fact := range [][2]string{
			{"name", s.Name}, {"country", s.Country}, {"since", when(&s.CreatedAt)}, {"limits", s.Limits.String()},
			{"form", line.Form}, {"honeypot", s.Form.Honeypot}, {"fastest", s.Form.MinTime.String()},
			{"origins", strings.Join(s.Origins, " ")}, {"redirects", strings.Join(s.Redirects, " ")},
		} {
			fmt.Fprintf(a.stdout, "%-10s %s\n", fact[0], cmp.Or(printable(fact[1]), "-"))
		}
	})
}
