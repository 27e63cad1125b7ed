package schema

// ByKey are the settings of PostgreSQL for processes that work jobs, see dbctx.Pool. All their statements on growing tables go
// by key, and the plan of a prepared statement is kept: one that is made while a table is small walks the whole table, and
// goes on to do so until the statistics are renewed, a minute of a big file later.
//
// What PostgreSQL is not to do it takes for very dear, and it compiles dear statements at each call; these are short.
var ByKey = map[string]string{"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
