package dbctx

// sight is what a glance at an idle connection shows.
type sight int

const (
	quiet sight = iota // nothing has come: it lives, as far as anybody knows
	news               // something has come, or it cannot be seen: ask the server
	gone               // its end has come
)
