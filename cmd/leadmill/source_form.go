package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/weburl"
	"github.com/leadmill/leadmill/schema"
	"github.com/leadmill/leadmill/web"
)

// formFlags are those of source form; what was not given stays as it is.
type formFlags struct {
	at, honeypot string
	minTime      time.Duration
	rotate, off  bool
}

func (a *app) sourceFormCommand() *cobra.Command {
	var f formFlags
	c := a.jsonFlag(&cobra.Command{
		Use: "form NAME", Short: "Give a source a form for web pages and print its HTML", Args: cobra.ExactArgs(1),
		Long: "Gives a source an address that forms on web pages post to, without a key, and\n" +
			"prints the HTML of such a form. The address can only add leads. What fills in\n" +
			"the honeypot, or is faster than people, is quarantined and told nothing.",
		Example: "  leadmill source form web-form --at https://leads.example\n" +
			"  leadmill source form web-form --honeypot fax --min-time 3s\n  leadmill source form web-form --rotate",
		RunE: func(c *cobra.Command, args []string) error {
			return a.sourceForm(c.Context(), args[0], f, c.Flags().Changed)
		},
	})
	c.Flags().StringVar(&f.at, "at", "http://127.0.0.1:8080", "where visitors of the page reach leadmill web")
	c.Flags().StringVar(&f.honeypot, "honeypot", "", "the field that people do not see; \"\" none (default _gotcha)")
	c.Flags().DurationVar(&f.minTime, "min-time", 0, "nobody is faster; 0 is not looked at (default 2s)")
	c.Flags().BoolVar(&f.rotate, "rotate", false, "take a new address; the old one ends")
	c.Flags().BoolVar(&f.off, "off", false, "take the address away")
	return c
}

func (a *app) sourceForm(ctx context.Context, name string, f formFlags, given func(string) bool) error {
	base, err := weburl.Origin(f.at)
	if err != nil {
		return usagef("--at: %w", err)
	}
	if f.minTime < 0 || f.minTime > time.Hour || f.minTime%time.Second != 0 {
		return usagef("--min-time is %s, want whole seconds, an hour at most", f.minTime)
	}
	var s schema.Source
	err = a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		if s, err = schema.LockSource(ctx, tx, name); err != nil {
			return err
		}
		f.change(&s.Form, given)
		return schema.SetForm(ctx, tx, name, s.Form)
	})
	if err != nil {
		return err
	}
	if f.off {
		return a.print(lineOf(s), func() { a.say("%s has no form any more.", name) })
	}
	return a.print(lineOf(s), func() {
		a.say("A form for %s. Put it on any page:", name)
		fmt.Fprint(a.stdout, web.FormSnippet(base, s))
	})
}

// change makes what the flags say of a form.
func (f formFlags) change(form *schema.Form, given func(string) bool) {
	if given("honeypot") {
		form.Honeypot = strings.TrimSpace(f.honeypot)
	}
	if given("min-time") {
		form.MinTime = f.minTime
	}
	switch {
	case f.off:
		form.ID, form.Secret = "", ""
	case f.rotate || form.ID == "":
		form.ID, form.Secret = rand.Text(), rand.Text()
	}
}

func (a *app) originCommand() *cobra.Command {
	return a.sitesCommand("origin", "origin", "Pages on other sites that may send for a source",
		"Pages of this origin may send with the key of the source. With an origin listed,\nits form is taken from listed pages only.",
		"https://shop.example", weburl.Origin, func(s *schema.Source) *[]string { return &s.Origins })
}

func (a *app) redirectCommand() *cobra.Command {
	return a.sitesCommand("redirect", "URL or origin", "Where the form of a source may lead to",
		"A form says in its field _redirect where its sender goes on to. It may be a URL\nthat is listed, or any below an origin that is.",
		"https://shop.example/thanks", weburl.Address, func(s *schema.Source) *[]string { return &s.Redirects })
}

// mostSites is how many addresses a source may list.
const mostSites = 100

// sitesCommand adds to one of the lists of a source, and takes away.
func (a *app) sitesCommand(use, what, short, long, example string, read func(string) (string, error), listOf func(*schema.Source) *[]string) *cobra.Command {
	change := func(verb, short string, fn func(list []string, site string) ([]string, error)) *cobra.Command {
		return &cobra.Command{
			Use: verb + " NAME ADDRESS", Short: short, Long: long, Args: cobra.ExactArgs(2),
			Example: fmt.Sprintf("  leadmill source %s %s web-form %s", use, verb, example),
			RunE: func(c *cobra.Command, args []string) error {
				site, err := read(args[1])
				if err != nil {
					return usagef("%w", err)
				}
				return a.changeSites(c.Context(), args[0], func(s *schema.Source) (err error) {
					*listOf(s), err = fn(*listOf(s), site)
					return err
				})
			},
		}
	}
	return group(use, short, fmt.Sprintf("  leadmill source %s add web-form %s", use, example),
		change("add", "List one more "+what, addSite), change("remove", "Take one from the list", removeSite))
}

func (a *app) changeSites(ctx context.Context, name string, change func(*schema.Source) error) error {
	return a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err := schema.LockSource(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := change(&s); err != nil {
			return err
		}
		schema.SetSites(tx, s.ID, s.Origins, s.Redirects)
		return nil
	})
}

func addSite(list []string, site string) ([]string, error) {
	if slices.Contains(list, site) {
		return list, nil
	}
	if len(list) == mostSites {
		return nil, usagef("a source lists %d addresses at most", mostSites)
	}
	return append(list, site), nil
}

func removeSite(list []string, site string) ([]string, error) {
	i := slices.Index(list, site)
	if i < 0 {
		return nil, fmt.Errorf("%s in the list: %w", site, schema.ErrNotFound)
	}
	return slices.Delete(list, i, i+1), nil
}
