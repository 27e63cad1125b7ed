// Command leadmill takes leads in, works them and delivers them.
package main

import (
	"context"
	"io"
	"os"
	_ "time/tzdata" // schedules have time zones, and a bare container has none
)

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: everything it touches comes in here. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, environ: environ}
	root := a.commands()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return a.exit(ctx, err)
}
