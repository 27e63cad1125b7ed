package dbctx_test

import (
	"go/format"
	"testing"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// plants are bugs that the random programs must find, one at a time. The first six are those that a session scope can least
// afford.
var plants = []dbctxtest.Bug{
	{
		Name: "commit after an error", File: "run.go",
		Old: "	if err != nil && !keep {\n		finished = true",
		New: "	if err != nil && !keep && s.failed != nil {\n		finished = true",
	},
	{
		Name: "the hook of a savepoint that was rolled back fires", File: "session.go",
		Old: "	s.hooks, s.fence = s.hooks[:before.hooks], before.fence",
		New: "	s.fence = before.fence",
	},
	{
		Name: "a queued write is lost", File: "session.go",
		Old: "	batch := append(s.pending, last...)",
		New: "	batch := append(s.pending[:min(len(s.pending), 3)], last...)",
	},
	{
		Name: "the key row is skipped", File: "run.go",
		Old: "		s.pending = append(s.pending, onceStatement(o.once))\n",
		New: "",
	},
	{
		Name: "the connection leaks on a panic", File: "run.go",
		Old: "			s.ended.Store(true)\n			s.rollback(ctx)\n",
		New: "			s.ended.Store(true)\n",
	},
	{
		Name: "a savepoint is not released", File: "session.go",
		Old: "	s.saved--\n	s.pending = append(s.pending, statement{sql: \"RELEASE SAVEPOINT \" + name})",
		New: "	s.saved--",
	},
	{
		Name: "an error that was ignored is forgotten", File: "run.go",
		Old: "	case err == nil && s.failed != nil:\n		return false, s.failed\n",
		New: "",
	},
	{
		Name: "a nested scope that fails is not taken back", File: "session.go",
		Old: "{{sql: \"ROLLBACK TO SAVEPOINT \" + name}}",
		New: "{{sql: \"RELEASE SAVEPOINT \" + name}, {sql: \"SAVEPOINT \" + name}}",
	},
	{
		Name: "an earlier savepoint is gone back to", File: "session.go",
		Old: "	if s.saved < s.depth {\n		return\n	}\n",
		New: "",
	},
	{
		Name: "a failure of which the database knows nothing stays", File: "session.go",
		Old: "		if s.unsent {\n",
		New: "		if false {\n",
	},
	{
		Name: "Keep keeps the key", File: "session.go",
		Old: "	s.pending = append(s.pending, statement{sql: `DELETE FROM done_keys WHERE key = $1`, args: []any{key}})\n",
		New: "",
	},
	{
		Name: "a scope whose context has ended commits", File: "run.go",
		Old: "		err = whyEnded(ctx)\n",
		New: "",
	},
	{
		Name: "queued writes overtake each other", File: "session.go",
		Old: "	batch := append(s.pending, last...)",
		New: "	if n := len(s.pending); n > 2 && s.depth == 0 {\n		s.pending[n-1], s.pending[n-2] = s.pending[n-2], s.pending[n-1]\n	}\n	batch := append(s.pending, last...)",
	},
	{
		Name: "hooks run before the commit", File: "run.go",
		Old: "	failed := s.commit(ctx)",
		New: "	for _, hook := range s.hooks {\n		s.runHook(hook)\n	}\n	s.hooks = nil\n	failed := s.commit(ctx)",
	},
	{
		Name: "a victim is run once too often", File: "run.go",
		Old: "again == o.retries",
		New: "again > o.retries",
	},
	{
		Name: "another goroutine may use the Tx", File: "guard.go",
		Old: "		return s.offend(ErrOtherGoroutine)\n",
		New: "		return nil\n",
	},
	{
		Name: "rows stay open behind their scope", File: "tx.go",
		Old: "		open.Close()\n",
		New: "		_ = open\n",
	},
}

// TestEveryPlantedBugFitsTheCode keeps the bugs from going stale, for the hunt takes minutes and is seldom made.
func TestEveryPlantedBugFitsTheCode(t *testing.T) {
	for _, bug := range plants {
		if _, err := format.Source(bug.Planted(t)); err != nil {
			t.Errorf("%s: %v", bug.Name, err)
		}
	}
}
