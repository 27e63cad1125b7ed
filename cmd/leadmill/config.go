package main

import (
	"reflect"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use: "config", Short: "Show the settings and where each comes from", Args: cobra.NoArgs,
		Long:    "Shows every setting, its value and its origin: a flag, the environment, the file\n.env, or the default. Passwords are masked.",
		Example: "  DEBUG=True leadmill config",
		RunE: func(*cobra.Command, []string) error {
			lines := a.effective()
			return a.print(lines, func() {
				var rows [][]string
				for _, l := range lines {
					rows = append(rows, []string{l.Name, l.Value, l.From})
				}
				a.table([]string{"SETTING", "VALUE", "FROM"}, rows)
			})
		},
	})
}

// setting is a line of config.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (a *app) effective() (lines []setting) {
	v := reflect.ValueOf(a.settings)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := field.Tag.Get("env")
		from := a.origins[name]
		if from == "" {
			from = "default"
		}
		lines = append(lines, setting{name, shown(field, v.Field(i).Interface()), from})
	}
	return lines
}
