//go:build race

package dbctx_test

// share under the race detector, which is ten times slower.
const share = 200
