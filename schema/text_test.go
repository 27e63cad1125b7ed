package schema

import "testing"

func TestOneTextServesBothDatabases(t *testing.T) {
	got := both(`SELECT r.id, $2::timestamptz FROM {r: id bigint, data jsonb} JOIN t ON true FOR UPDATE OF t`)
	want := text{
		postgres: `SELECT r.id, $2::timestamptz FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, data jsonb) JOIN t ON true FOR UPDATE OF t`,
		sqlite:   `SELECT r.id, $2 FROM (SELECT value ->> '$.id' AS id, value -> '$.data' AS data FROM json_each($1)) AS r JOIN t ON true`,
	}
	if got != want {
		t.Errorf("both:\ngot  %v\nwant %v", got, want)
	}
}
