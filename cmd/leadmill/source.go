package main

import (
	"context"
	"fmt"
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
	rotate := a.jsonFlag(&cobra.Command{
		Use: "rotate NAME", Short: "Give a source a new key; the old one ends at once", Args: cobra.ExactArgs(1),
		Example: "  leadmill source rotate web-form",
		RunE:    func(c *cobra.Command, args []string) error { return a.sourceRotate(c.Context(), args[0]) },
	})
	return group("source", "Where leads come from", "  leadmill source add web-form", add, list, rotate)
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

func (a *app) sourceRotate(ctx context.Context, name string) error {
	key, hash := jobs.NewKey()
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		return schema.RotateKey(ctx, tx, name, hash, now(), 0)
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

func (a *app) sourceList(ctx context.Context) error {
	type source struct {
		Name      string    `json:"name"`
		Country   string    `json:"country"`
		CreatedAt time.Time `json:"created_at"`
	}
	list, rows := []source{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		all, err := schema.ListSources(ctx, tx)
		for _, s := range all {
			list = append(list, source{s.Name, s.Country, s.CreatedAt})
			rows = append(rows, []string{s.Name, s.Country, when(&s.CreatedAt)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"NAME", "COUNTRY", "SINCE"}, rows) })
}
