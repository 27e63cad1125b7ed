package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/route"
)

// User is somebody who owns leads, and who may log in if there is a password.
type User struct {
	ID           int64
	Email        string // lower case
	Name         string
	Role         string // admin, operator or viewer
	PasswordHash string // "" cannot log in
	Active       bool
	Weight       int // share of new leads, 0 to 1000; 0 gets none
	CreatedAt    time.Time
}

const userColumns = `u.id, u.email, u.name, u.role, u.password_hash, u.active, u.weight, u.created_at`

func scanUser(row dbctx.Scanner) (u User, err error) {
	return u, row.Scan(&u.ID, &u.Email, &u.Name, &u.Role, &u.PasswordHash, &u.Active, &u.Weight, &u.CreatedAt)
}

// InsertUser makes an active user. ErrExists if the e-mail address is taken.
func InsertUser(ctx context.Context, tx *dbctx.Tx, u User, now time.Time) (User, error) {
	u.Active, u.CreatedAt = true, now
	err := tx.QueryRow(ctx, `INSERT INTO users (email, name, role, password_hash, weight, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING RETURNING id`,
		u.Email, u.Name, u.Role, u.PasswordHash, u.Weight, now).Scan(&u.ID)
	if err == dbctx.ErrNoRows {
		return User{}, fmt.Errorf("user: %w", ErrExists)
	}
	return u, err
}

// UserByEmail returns the user with this address, in lower case, or ErrNotFound.
func UserByEmail(ctx context.Context, tx *dbctx.Tx, email string) (User, error) {
	u, err := scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.email = $1`, email))
	return u, notFound(err, "user", "of this address")
}

// ListUsers returns all users by their ids.
func ListUsers(ctx context.Context, tx *dbctx.Tx) ([]User, error) {
	return dbctx.All(ctx, tx, scanUser, `SELECT `+userColumns+` FROM users u ORDER BY u.id`)
}

// Members returns who takes part in the distribution of leads, by their ids. They are not locked: who is
// deactivated at this moment may be given the lead that is routed at this moment.
func Members(ctx context.Context, tx *dbctx.Tx) ([]route.Member, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (m route.Member, err error) {
		return m, row.Scan(&m.UserID, &m.Weight)
	}, `SELECT id, weight FROM users WHERE active AND weight > 0 ORDER BY id`)
}

// DrawTurns draws n turns of the distribution, each drawn once. Nobody waits for anybody here; turns that a scope drew
// before it was rolled back are lost, and so is the exact share of one round.
func DrawTurns(ctx context.Context, tx *dbctx.Tx, n int) ([]int64, error) {
	if tx.Dialect() == dbctx.SQLite {
		return drawSQLite(ctx, tx, n)
	}
	return dbctx.All(ctx, tx, scanID, `SELECT nextval('owner_turns') FROM generate_series(1, $1::int)`, n)
}

func drawSQLite(ctx context.Context, tx *dbctx.Tx, n int) ([]int64, error) {
	var next int64
	err := tx.QueryRow(ctx, `UPDATE owner_turns SET next = next + $1 RETURNING next`, n).Scan(&next)
	turns := make([]int64, n)
	for i := range turns {
		turns[i] = next - int64(n-i)
	}
	return turns, err
}
