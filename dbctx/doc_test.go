package dbctx_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// ancestor is the database layer that this one succeeds, of a service on FastAPI and SQLAlchemy: an engine with its pool,
// get_db, get_db_context, init_db, close_db. Here is what it promised, and which tests keep it.
var ancestor = []struct {
	promise string
	tests   []string // room.Name
}{
	{"the URL comes from the environment, in the forms that SQLAlchemy knows", []string{
		"cmd/leadmill.TestTheDatabaseIsSetByTheEnvironment",
		"cmd/leadmill.TestSettingsComeFromFlagsOverTheEnvironmentOverTheFile",
		"dbctx.TestEveryFormOfTheURLIsTaken",
		"dbctx.TestEveryMistakeInTheURLIsSaid",
	}},
	{"SQLite has settings of its own", []string{
		"dbctx.TestSQLiteIsSetAsPromised",
	}},
	{"the pool has 20 connections from the start", []string{
		"dbctx.TestThePoolIsTheOneThatSQLAlchemyUsersKnow",
		"dbctx.TestThePoolOpensItsSizeAtTheStart",
		"cmd/leadmill.TestTheEnvironmentSizesThePool",
	}},
	{"it overflows to 60 and no further; the surplus goes home after a minute", []string{
		"dbctx.TestThePoolIsTheOneThatSQLAlchemyUsersKnow",
		"dbctx.TestManyGoroutinesShareOnePoolAndNeverExceedIt",
		"dbctx.TestAPoolThatIsExhaustedSaysSo",
		"dbctx.TestAPoolMayLastForEverAndHaveNoOverflow",
	}},
	{"a connection is recycled after an hour", []string{
		"dbctx.TestThePoolIsTheOneThatSQLAlchemyUsersKnow",
		"dbctx.TestAConnectionIsRecycledWithoutAScopeThatFails",
		"cmd/leadmill.TestTheEnvironmentRecyclesConnections",
	}},
	{"a connection is pinged before use", []string{
		"dbctx.TestAConnectionThatDiedSilentlyIsNotHandedOut",
		"cmd/leadmill.TestTheEnvironmentPingsConnections",
	}},
	{"SQL is echoed under DEBUG, and there is silence without", []string{
		"dbctx.TestEchoLogsStatementsWithoutTheirArguments",
		"cmd/leadmill.TestDebugLogsEveryStatementAndItsAbsenceNone",
		"cmd/leadmill.TestPythonsTrueIsTrue",
	}},
	{"a connection killed by the server is replaced unseen", []string{
		"dbctx.TestAConnectionKilledByTheServerIsReplacedUnseen",
	}},
	{"the connections of a dead or read-only server are not handed out", []string{
		"dbctx.TestConnectionsOfAServerThatRestartedAreNotHandedOut",
		"dbctx.TestAConnectionThatDiedSilentlyIsNotHandedOut",
		"dbctx.TestAConnectionWhoseServerTakesNoWritesIsReplaced",
		"web.TestADatabaseThatIsAwayIs503",
	}},
	{"a commit needs success", []string{
		"dbctx.TestNilCommits",
		"dbctx.TestEveryOtherEndRollsBack",
		"dbctx.TestASwallowedErrorNeverBecomesHalfACommit",
		"dbctx.TestACommitThatIsRefusedLeavesACleanConnection",
	}},
	{"nothing is written before it: no autocommit", []string{
		"dbctx.TestNothingIsWrittenBeforeTheScopeEnds",
	}},
	{"nothing is sent early by reading: no autoflush; queued writes leave when the scope says so", []string{
		"dbctx.TestQueuedWritesLeaveWhenTheScopeSaysSo",
		"dbctx.TestAReadBesideTheScopeSendsNothingOfIt",
		"dbctx.TestAStatementSeesWhatWasQueuedBeforeIt",
		"dbctx.TestTheCommitTravelsWithTheLastWrites",
	}},
	{"an HTTP request has a scope, closed even when the handler panics, its commit before the answer", []string{
		"dbctx.TestEveryRequestHasItsScopeAndAHandlerThatPanicsClosesIt",
		"web.TestAHandlerThatPanicsLeavesNoScopeOpen",
		"web.TestALeadIsAcceptedAfterTheCommit",
		"web.TestACommitThatFailsIsNeverAccepted",
	}},
	{"scripts and jobs have a scope", []string{
		"dbctx.TestNilCommits",
		"dbctx.TestEveryOtherEndRollsBack",
		"jobs.TestAPanicIsAFailedAttemptAndTheWorkerLives",
		"jobs.TestAJobThatRunsAgainChangesNothing",
		"cmd/leadmill.TestSourcesUsersAndDestinationsAreMadeOnce",
	}},
	{"creating the tables five times over changes nothing", []string{
		"schema.TestCreatingTheTablesFiveTimesChangesNothing",
		"cmd/leadmill.TestFourProcessesMigrateAtOnce",
	}},
	{"five attempts at two seconds, against a database that appears at the fourth", []string{
		"dbctx.TestFiveAttemptsAreMadeTwoSecondsApart",
		"dbctx.TestFiveAttemptsAreMadeAtAServerThatIsAway",
		"dbctx.TestADatabaseThatAppearsAtTheFourthAttemptIsOpened",
		"cmd/leadmill.TestTheEnvironmentSaysHowOftenAndWhenToConnect",
	}},
	{"closing leaves no connection behind", []string{
		"dbctx.TestClosingLeavesNoConnectionBehind",
		"dbctx.TestClosingLeavesNothingBehind",
	}},
	{"the process shares one pool", []string{
		"dbctx.TestManyGoroutinesShareOnePoolAndNeverExceedIt",
	}},
	{"a lead and a user are written and read back", []string{
		"schema.TestALeadAndAUserAreReadBackAsWritten",
		"schema.TestCreatingTheTablesFiveTimesChangesNothing",
	}},
}

func TestEveryPromiseOfTheAncestorHasItsTests(t *testing.T) {
	rooms := map[string]map[string]bool{}
	for _, a := range ancestor {
		if len(a.tests) == 0 {
			t.Errorf("nothing keeps the promise that %s", a.promise)
		}
		for _, test := range a.tests {
			room, name, _ := strings.Cut(test, ".")
			if rooms[room] == nil {
				rooms[room] = testsOf(t, room)
			}
			if !rooms[room][name] {
				t.Errorf("there is no test %s; it is said to keep the promise that %s", test, a.promise)
			}
		}
	}
}

// testsOf are the names of the tests of a room.
func testsOf(t *testing.T, room string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", room, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
