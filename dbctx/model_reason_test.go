package dbctx_test

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/leadmill/leadmill/dbctx"
)

// reason says which of the answers that the model knows an error is, or else its text.
func reason(err error) string {
	if err == nil {
		return ""
	}
	for is, text := range map[error]string{
		errOops: oops, dbctx.ErrAlreadyDone: alreadyDone, dbctx.ErrNoRows: noRows, dbctx.ErrTxDone: txDone,
		dbctx.ErrOtherGoroutine: otherGoroutine, dbctx.ErrOutermost: onlyOutermost, context.Canceled: cancelled,
	} {
		if errors.Is(err, is) {
			return text
		}
	}
	if text := serverReason(err); text != "" {
		return text
	}
	for part, text := range map[string]string{
		"still open": rowsOpen, "cannot keep the key": contradiction, "no such table": isBadSQL,
		"unable to encode": isBadArg, "unsupported type": isBadArg, "cannot scan": isMisread, "converting driver.Value": isMisread,
	} {
		if strings.Contains(err.Error(), part) {
			return text
		}
	}
	return err.Error()
}

func serverReason(err error) string {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case dbctx.IsUniqueViolation(err):
		return isUnique
	case errors.As(err, &pg):
		return map[string]string{"25006": isReadOnly, "42P01": isBadSQL, "40001": isVictim}[pg.Code]
	case errors.As(err, &lite) && lite.Code() == lib.SQLITE_READONLY:
		return isReadOnly
	}
	return ""
}
