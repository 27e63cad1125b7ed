package schema

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
)

// Producers says what other programs on this database lack for calling enqueue_lead, as what an administrator runs; "" if
// nothing. On SQLite there is no such function, and nothing is lacking.
func Producers(ctx context.Context, tx *dbctx.Tx) (cure string, err error) {
	if tx.Dialect() == dbctx.SQLite {
		return "", nil
	}
	err = tx.QueryRow(ctx, `SELECT CASE
			WHEN f.oid IS NULL THEN 'leadmill migrate up'
			WHEN r.oid IS NULL THEN 'CREATE ROLE leadmill_producer NOLOGIN; ' || allow
			WHEN NOT has_function_privilege(r.oid, f.oid, 'EXECUTE') OR NOT has_schema_privilege(r.oid, current_schema(), 'USAGE')
				THEN allow
			ELSE '' END
		FROM (SELECT to_regprocedure(quote_ident(current_schema()) || '.enqueue_lead(text, jsonb, text)')::oid AS oid,
				format('GRANT USAGE ON SCHEMA %1$I TO leadmill_producer; '
					|| 'GRANT EXECUTE ON FUNCTION %1$I.enqueue_lead TO leadmill_producer', current_schema()) AS allow) f
		LEFT JOIN pg_roles r ON r.rolname = 'leadmill_producer'`).Scan(&cure)
	return cure, err
}
