package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) destinationCommand() *cobra.Command {
	var d schema.Destination
	add := a.jsonFlag(&cobra.Command{
		Use: "add NAME", Short: "Make a destination and print its secret", Args: cobra.ExactArgs(1),
		Long: "Makes a webhook that every lead is delivered to, signed as in Standard Webhooks.\n" +
			"A secret is made if none is given. A receiver is expected to tell a repeat by\n" +
			"its webhook-id. One that does not is --not-idempotent: what it may have taken\n" +
			"without saying so is not sent again, and waits for a person.",
		Example: "  leadmill destination add crm --url https://crm.example/hooks/leads\n" +
			"  leadmill destination add erp --url https://erp.example --not-idempotent",
		RunE: func(c *cobra.Command, args []string) error {
			d.Name = args[0]
			return a.destinationAdd(c.Context(), d)
		},
	})
	add.Flags().StringVar(&d.URL, "url", "", "where to post to (required)")
	add.Flags().StringVar(&d.Secret, "secret", "", "whsec_ and base64 of 24 to 64 bytes (default: a new one)")
	add.Flags().BoolVar(&d.AllowPrivate, "allow-private", false, "the address may be private, and plain http")
	add.Flags().BoolVar(&d.NotIdempotent, "not-idempotent", false, "it would take a repeat for a new lead")
	limitFlags(add, &d)
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List destinations", Example: "  leadmill destination list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.destinationList(c.Context()) },
	})
	start := &cobra.Command{
		Use: "start NAME", Short: "Call a stopped destination again", Args: cobra.ExactArgs(1),
		Long:    "Lets a destination that answered 410 be called again. What was parked meanwhile\nis retried from the page \"Failed work\".",
		Example: "  leadmill destination start crm",
		RunE: func(c *cobra.Command, args []string) error {
			return a.inScope(c.Context(), func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.StartDestination(ctx, tx, args[0])
			})
		},
	}
	return group("destination", "Where leads go", "  leadmill destination add crm --url https://crm.example/hook",
		add, list, start, a.destinationLimitCommand())
}

// destinationLimitCommand changes the limits of a destination that is there.
func (a *app) destinationLimitCommand() *cobra.Command {
	var d schema.Destination
	c := &cobra.Command{
		Use: "limit NAME", Short: "Change how often a destination is called", Args: cobra.ExactArgs(1),
		Long:    "Sets both limits; the one that is not given is lifted. All workers of the fleet\nkeep them together, from their next call on.",
		Example: "  leadmill destination limit crm --rate 0.5\n  leadmill destination limit crm",
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkLimits(d); err != nil {
				return err
			}
			return a.inScope(c.Context(), func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.LimitDestination(ctx, tx, args[0], d.Rate, d.Concurrency)
			})
		},
	}
	limitFlags(c, &d)
	return c
}

func limitFlags(c *cobra.Command, d *schema.Destination) {
	c.Flags().Float64Var(&d.Rate, "rate", 0, "calls a second of all workers, such as 0.5 or 20 (default: no limit)")
	c.Flags().IntVar(&d.Concurrency, "concurrency", 0, "calls at once of all workers (default: no limit)")
}

func checkLimits(d schema.Destination) error {
	switch {
	case d.Rate != 0 && !(d.Rate >= 0.001 && d.Rate <= 10_000):
		return usagef("--rate is %v, want 0.001 to 10000 calls a second, or 0 for no limit", d.Rate)
	case d.Concurrency < 0:
		return usagef("--concurrency is %d, want at least 1, or 0 for no limit", d.Concurrency)
	}
	return nil
}

func (a *app) destinationAdd(ctx context.Context, d schema.Destination) error {
	if err := checkName(d.Name); err != nil {
		return err
	}
	if err := checkURL(d.URL, d.AllowPrivate); err != nil {
		return err
	}
	if err := checkLimits(d); err != nil {
		return err
	}
	if d.Secret == "" {
		d.Secret = jobs.NewSecret()
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.Secret, "whsec_"))
	if err != nil || !strings.HasPrefix(d.Secret, "whsec_") || len(key) < 24 || len(key) > 64 {
		return usagef("--secret wants whsec_ and the base64 of 24 to 64 bytes")
	}
	err = a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.InsertDestination(ctx, tx, d, now())
		return err
	})
	if err != nil {
		return err
	}
	v := struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
	}{d.Name, d.Secret}
	return a.print(v, func() {
		a.say("The receiver checks signatures with this secret:")
		fmt.Fprintln(a.stdout, d.Secret)
	})
}

func checkURL(raw string, allowPrivate bool) error { return checkAddress("--url", raw, allowPrivate) }

// checkAddress takes an address that we may call; flag is what it was given with.
func checkAddress(flag, raw string, allowPrivate bool) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "" || err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return usagef("%s wants an address such as https://crm.example/hooks/leads", flag)
	case u.Scheme == "http" && !allowPrivate:
		return usagef("%s is plain http, which anybody on the way can read: use https, or --allow-private inside of your network", flag)
	case u.User != nil:
		return usagef("%s holds a password: receivers check the signature instead", flag)
	}
	return nil
}

func (a *app) destinationList(ctx context.Context) error {
	type destination struct {
		Name        string  `json:"name"`
		URL         string  `json:"url"`
		Active      bool    `json:"active"`
		Stopped     string  `json:"stopped_reason,omitempty"`
		Idempotent  bool    `json:"idempotent"`
		Rate        float64 `json:"rate"`
		Concurrency int     `json:"concurrency"`
	}
	list, rows := []destination{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		all, err := schema.ListDestinations(ctx, tx)
		for _, d := range all {
			list = append(list, destination{d.Name, d.URL, d.Active, d.StoppedReason, !d.NotIdempotent, d.Rate, d.Concurrency})
			state := "active"
			if !d.Active {
				state = "stopped: " + d.StoppedReason
			}
			rows = append(rows, []string{cut(d.Name, 20), d.URL, cut(state, 24), repeats(d), d.Limits()})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"NAME", "URL", "STATE", "REPEATS", "LIMITS"}, rows) })
}

// repeats says what becomes of a call that may have arrived.
func repeats(d schema.Destination) string {
	if d.NotIdempotent {
		return "never"
	}
	return "same key"
}
