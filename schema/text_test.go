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

func TestALongSetTravelsAsAnArrayForEachColumn(t *testing.T) {
	got := columns(`UPDATE t SET data = r.data, at = $2 FROM {r: id bigint, data jsonb} WHERE t.id = r.id AND t.no = $3`)
	want := text{
		postgres: `UPDATE t SET data = r.data, at = $3 FROM unnest($1::bigint[], $2::jsonb[]) AS r(id, data) WHERE t.id = r.id AND t.no = $4`,
		sqlite: `UPDATE t SET data = r.data, at = $2 FROM (SELECT value ->> '$.id' AS id, value -> '$.data' AS data FROM json_each($1)) AS r` +
			` WHERE t.id = r.id AND t.no = $3`,
	}
	if got.text != want {
		t.Errorf("columns:\ngot  %v\nwant %v", got.text, want)
	}
}
