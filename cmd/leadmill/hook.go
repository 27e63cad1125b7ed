package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) hookCommand() *cobra.Command {
	return group("hook", "Where ad platforms and programs post leads", "  leadmill hook add google ads",
		a.hookAddCommand(), a.hookListCommand(), a.hookRotateCommand(), a.hookRemoveCommand())
}

const hookSecrets = "A hook of Meta needs the secret of your app and an access token of the page:\n" +
	"from META_APP_SECRET and META_ACCESS_TOKEN, or as two lines with --secret-stdin.\n" +
	"The secret of a standard hook is made here, or taken from HOOK_SECRET or stdin\n" +
	"if the sender has made it."

func (a *app) hookAddCommand() *cobra.Command {
	var h schema.Hook
	var stdin bool
	c := a.jsonFlag(&cobra.Command{
		Use: "add KIND SOURCE", Short: "Make a hook and print what the sender needs, once", Args: cobra.ExactArgs(2),
		Long: "Makes an address for google (Ads lead forms), meta (lead ads) or standard\n" +
			"(Standard Webhooks), and the source if there is none of that name. What is made\n" +
			"here - the key, the verify token, the secret - is printed now and never again.\n" + hookSecrets,
		Example: "  leadmill hook add google ads\n  leadmill hook add meta ads --secret-stdin < secrets\n  leadmill hook add standard shop",
		RunE: func(c *cobra.Command, args []string) error {
			h.Kind, h.Source = args[0], args[1]
			return a.hookAdd(c.Context(), h, stdin)
		},
	})
	secretFlag(c, &stdin)
	c.Flags().StringVar(&h.GraphURL, "graph-url", "", "meta: where leads are fetched (default "+hook.GraphURL+")")
	c.Flags().BoolVar(&h.AllowPrivate, "allow-private", false, "meta: that address may be private, and plain http")
	return c
}

func secretFlag(c *cobra.Command, stdin *bool) {
	c.Flags().BoolVar(stdin, "secret-stdin", false, "read the secrets of the sender from stdin, one a line")
}

func (a *app) hookAdd(ctx context.Context, h schema.Hook, stdin bool) error {
	if err := checkHook(h); err != nil {
		return err
	}
	given, err := a.hookGiven(h.Kind, stdin)
	if err != nil {
		return err
	}
	if h.Kind == hook.Meta && (given.secret == "" || given.token == "") {
		return usagef("META_APP_SECRET and META_ACCESS_TOKEN are needed: set them, or give them as two lines with --secret-stdin")
	}
	shown, err := furnishHook(&h, given)
	if err != nil {
		return err
	}
	err = a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.EnsureSource(ctx, tx, h.Source, now())
		if err != nil {
			return err
		}
		h.SourceID = source.ID
		return schema.InsertHook(ctx, tx, h, now())
	})
	if err != nil {
		return err
	}
	return a.printHook(h, shown)
}

func checkHook(h schema.Hook) error {
	if err := checkKind(h.Kind); err != nil {
		return err
	}
	if err := checkName(h.Source); err != nil {
		return err
	}
	if h.Kind != hook.Meta && (h.GraphURL != "" || h.AllowPrivate) {
		return usagef("--graph-url and --allow-private are for meta: nothing is fetched for other hooks")
	}
	if h.GraphURL == "" {
		return nil
	}
	if strings.ContainsAny(h.GraphURL, "?#") || strings.HasSuffix(h.GraphURL, "/") {
		return usagef("--graph-url wants an address with its version and nothing behind it, such as %s", hook.GraphURL)
	}
	return checkAddress("--graph-url", h.GraphURL, h.AllowPrivate)
}

func checkKind(kind string) error {
	if !slices.Contains(hook.Kinds, kind) {
		return usagef("KIND is %q, want one of %s", kind, strings.Join(hook.Kinds, ", "))
	}
	return nil
}

// printHook prints where the sender posts to and what it must know, if that was made here.
func (a *app) printHook(h schema.Hook, made madeSecret) error {
	path := "/hooks/" + h.Kind + "/" + h.Source
	v := map[string]string{"kind": h.Kind, "source": h.Source, "path": path}
	if made.name != "" {
		v[made.name] = made.value
	}
	return a.print(v, func() {
		a.say("The sender posts to https://YOUR-HOST%s", path)
		if made.name != "" {
			a.say("Its %s, shown this once:", strings.ReplaceAll(made.name, "_", " "))
			fmt.Fprintln(a.stdout, made.value)
		}
	})
}

func (a *app) hookListCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List hooks", Args: cobra.NoArgs,
		Long: "Lists hooks, without their secrets. Of Meta's leads, OPEN are being fetched and\n" +
			"PARKED were given up; the state says what to do if no lead can be fetched.",
		Example: "  leadmill hook list --json",
		RunE:    func(c *cobra.Command, _ []string) error { return a.hookList(c.Context()) },
	})
}

func (a *app) hookList(ctx context.Context) error {
	type line struct {
		Kind     string     `json:"kind"`
		Source   string     `json:"source"`
		Path     string     `json:"path"`
		Open     int64      `json:"open"`
		Parked   int64      `json:"parked"`
		Problem  string     `json:"problem"`
		OldUntil *time.Time `json:"old_secret_until"`
		Since    time.Time  `json:"created_at"`
	}
	list, rows := []line{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		all, err := schema.ListHooks(ctx, tx)
		for _, h := range all {
			if len(h.Secrets(now())) == 1 {
				h.OldUntil = nil
			}
			list = append(list, line{h.Kind, h.Source, "/hooks/" + h.Kind + "/" + h.Source, h.Open, h.Parked, h.Problem, h.OldUntil, h.CreatedAt})
			rows = append(rows, []string{h.Kind, h.Source, strconv.FormatInt(h.Open, 10), strconv.FormatInt(h.Parked, 10), hookState(h)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"KIND", "SOURCE", "OPEN", "PARKED", "STATE"}, rows) })
}

func hookState(h schema.Hook) string {
	switch {
	case h.Problem != "":
		return h.Problem
	case h.OldUntil != nil:
		return "old secret until " + when(h.OldUntil)
	}
	return "active"
}

func (a *app) hookRotateCommand() *cobra.Command {
	var stdin bool
	var overlap time.Duration
	c := a.jsonFlag(&cobra.Command{
		Use: "rotate KIND SOURCE", Short: "Give a hook new secrets", Args: cobra.ExactArgs(2),
		Long: "Gives a hook a new key or secret; the one before stays valid for the overlap, so\n" +
			"that the sender can be changed without losing a lead. For meta the app secret\n" +
			"and the access token that are given are changed, and an empty line or variable\n" +
			"leaves one as it is; the verify token is always new.\n\n" + hookSecrets,
		Example: "  leadmill hook rotate google ads --overlap 1h\n" +
			"  META_ACCESS_TOKEN=\"$TOKEN\" leadmill hook rotate meta ads",
		RunE: func(c *cobra.Command, args []string) error {
			return a.hookRotate(c.Context(), args[0], args[1], overlap, stdin)
		},
	})
	secretFlag(c, &stdin)
	c.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old one stays valid; 0 ends it at once")
	return c
}

// longestOverlap keeps a secret that is meant to end from being forgotten.
const longestOverlap = 90 * 24 * time.Hour

func (a *app) hookRotate(ctx context.Context, kind, source string, overlap time.Duration, stdin bool) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	if overlap < 0 || overlap > longestOverlap {
		return usagef("--overlap is %s, want 0 to %s", overlap, longestOverlap)
	}
	given, err := a.hookGiven(kind, stdin)
	if err != nil {
		return err
	}
	var h schema.Hook
	var made madeSecret
	err = a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		if h, err = schema.HookOf(ctx, tx, kind, source); err != nil {
			return err
		}
		if made, err = furnishHook(&h, given); err != nil {
			return err
		}
		return schema.RotateHook(ctx, tx, h, until(overlap))
	})
	if err != nil {
		return err
	}
	return a.printHook(h, made)
}

func until(overlap time.Duration) *time.Time {
	if overlap == 0 {
		return nil
	}
	end := now().Add(overlap)
	return &end
}

func (a *app) hookRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove KIND SOURCE", Short: "End a hook; the leads that came through it stay", Args: cobra.ExactArgs(2),
		Example: "  leadmill hook remove google ads",
		RunE: func(c *cobra.Command, args []string) error {
			return a.inScope(c.Context(), func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.RemoveHook(ctx, tx, args[0], args[1])
			})
		},
	}
}
