package schema

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/intake"
)

// SourceMapping returns what a person has decided for a file with these columns, in any order, from the source; nil if
// nobody has decided anything.
func SourceMapping(ctx context.Context, tx *dbctx.Tx, sourceID int64, header []string) (m intake.Mapping, err error) {
	var mapping string
	err = tx.QueryRow(ctx, `SELECT mapping FROM source_mappings WHERE source_id = $1 AND columns = $2`,
		sourceID, fingerprint(header)).Scan(&mapping)
	if err == dbctx.ErrNoRows {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal([]byte(mapping), &m)
}

// KeepSourceMapping remembers it for the next file.
func KeepSourceMapping(tx *dbctx.Tx, sourceID int64, header []string, m intake.Mapping, now time.Time) {
	tx.Queue(`INSERT INTO source_mappings (source_id, columns, mapping, used_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (source_id, columns) DO UPDATE SET mapping = excluded.mapping, used_at = excluded.used_at`,
		sourceID, fingerprint(header), asJSON(m), now)
}

// fingerprint names a set of columns. The column that we add to rejected rows does not count: what was mended is the same
// kind of file.
func fingerprint(header []string) string {
	names := slices.DeleteFunc(slices.Clone(header), func(name string) bool { return name == intake.Because })
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return hex.EncodeToString(sum[:])
}
