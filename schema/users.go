package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
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
