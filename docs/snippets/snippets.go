// Package snippets holds programs that send a lead, in the languages that people write forms in. The reference page shows
// them, and the tests run them as they stand.
package snippets

import "embed"

// Files are the programs.
//
//go:embed *.sh *.py *.mjs *.rb *.php
var Files embed.FS
