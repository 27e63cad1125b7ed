package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) sourceLimitCommand() *cobra.Command {
	var l schema.SourceLimits
	var rate string
	c := &cobra.Command{
		Use: "limit NAME", Short: "Change how much a source may send", Args: cobra.ExactArgs(1),
		Long: "Sets all limits of a source; those that are not given are lifted. All processes\nthat serve keep them together and notice within a second." +
			"\nThey hold for single leads, batches, forms and hooks, not for files and SQL. A\n" +
			"batch is taken whole if one lead may come, and the next waits for all of it;\n" +
			"days are those of UTC. Who sends more is answered 429 with Retry-After.",
		Example: "  leadmill source limit web-form --rate 10/s --per-day 5000 --max-bytes 65536\n  leadmill source limit web-form",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if l.Rate, err = parseRate(rate); err != nil {
				return err
			}
			if err := checkSourceLimits(l); err != nil {
				return err
			}
			return a.inScope(c.Context(), func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.LimitSource(ctx, tx, args[0], l)
			})
		},
	}
	c.Flags().StringVar(&rate, "rate", "", "leads: 10/s, 30/m or 5/h (default: no limit)")
	c.Flags().IntVar(&l.Burst, "burst", 0, "leads that may come at once (default: a second of the rate)")
	c.Flags().IntVar(&l.PerDay, "per-day", 0, "leads in a day of UTC (default: no limit)")
	c.Flags().IntVar(&l.MaxBytes, "max-bytes", 0, "size of one lead (default: 1 MiB, 64 KiB in forms and batches)")
	return c
}

// parseRate reads "10/s", "30/m" or "5/h" as a number a second; "" is none.
func parseRate(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	seconds := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	rate := n / seconds
	if err != nil || seconds == 0 || !(rate >= 0.0001 && rate <= 100_000) {
		return 0, usagef("--rate wants a number of leads such as 10/s, 30/m or 5/h")
	}
	return rate, nil
}

// Limits of the limits.
const (
	smallestBody = 256
	largestBody  = 1 << 20
	largestBurst = 100_000
	largestDay   = 1_000_000_000
)

func checkSourceLimits(l schema.SourceLimits) error {
	switch {
	case l.Burst < 0 || l.Burst > largestBurst || l.Burst > 0 && l.Rate == 0:
		return usagef("--burst wants 1 to %d, and a --rate beside it", largestBurst)
	case l.PerDay < 0 || l.PerDay > largestDay:
		return usagef("--per-day is %d, want 1 to %d, or 0 for no limit", l.PerDay, largestDay)
	case l.MaxBytes != 0 && (l.MaxBytes < smallestBody || l.MaxBytes > largestBody):
		return usagef("--max-bytes is %d, want %d to %d, or 0 for ours", l.MaxBytes, smallestBody, largestBody)
	}
	return nil
}
