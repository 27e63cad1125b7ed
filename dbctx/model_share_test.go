//go:build !race

package dbctx_test

// share of the programs that an ordinary run of the tests tries on each database, 10 s on PostgreSQL with two cores.
const share = 2000
