package schema

import (
	"context"
	"encoding/json"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/route"
)

// Book is one of a few distributions of leads, each exact by itself: over all of them a member is off its share by less than a
// lead for each book. One after the other, scopes take the first, and together they are one distribution.
type Book struct {
	ID      int
	Members []route.Member // who takes part, by their ids, with their credits in this book
}

// TakeBook returns a book that no other scope has, locked until the scope ends: it must be written back by whoever took it. If
// all are taken it waits for one. Without anybody who takes part there are no members. Take this lock last.
func TakeBook(ctx context.Context, tx *dbctx.Tx) (b Book, err error) {
	var credits string
	err = tx.QueryRow(ctx, freeBook.on(tx)).Scan(&b.ID, &credits)
	if err == dbctx.ErrNoRows {
		err = tx.QueryRow(ctx, anyBook.on(tx)).Scan(&b.ID, &credits)
	}
	if err != nil {
		return b, err
	}
	held := map[int64]int{}
	if err := json.Unmarshal([]byte(credits), &held); err != nil {
		return b, err
	}
	b.Members, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (m route.Member, err error) {
		err = row.Scan(&m.UserID, &m.Weight)
		m.Credit = held[m.UserID]
		return m, err
	}, `SELECT id, weight FROM users WHERE active AND weight > 0 ORDER BY id`)
	return b, err
}

var (
	freeBook = both(`SELECT id, credits FROM credit_books ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`)
	anyBook  = both(`SELECT id, credits FROM credit_books ORDER BY id DESC LIMIT 1 FOR UPDATE`)
)

// SaveBook writes back what the distribution left.
func SaveBook(tx *dbctx.Tx, b Book) {
	held := make(map[int64]int, len(b.Members))
	for _, m := range b.Members {
		held[m.UserID] = m.Credit
	}
	tx.Queue(`UPDATE credit_books SET credits = $2 WHERE id = $1`, b.ID, string(must(json.Marshal(held))))
}
