package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"
)

// users are the accounts. A user's ID is the subject of their tokens: it never
// changes and is never given to another, as an e-mail address may be.
type users struct {
	db     *sql.DB
	hasher *hasher
}

type user struct{ ID, Email string }

// What the one who signs in is to hear of.
var (
	errTaken    = errors.New("the e-mail address is taken")
	errEmail    = errors.New("not an e-mail address")
	errPassword = errors.New("a password that is too short or too long")
	errNoMatch  = errors.New("no such account, or another password")
)

// register makes an account.
func (u *users) register(ctx context.Context, email, password string) (user, error) {
	email, err := normal(email)
	if err != nil {
		return user{}, err
	}
	if utf8.RuneCountInString(password) < 8 || len(password) > maxPassword {
		return user{}, errPassword
	}
	hash, err := u.hasher.hash(ctx, password)
	if err != nil {
		return user{}, err
	}
	made := user{rand.Text(), email}
	result, err := u.db.ExecContext(ctx, `INSERT INTO users (id, email, password, created) VALUES (?, ?, ?, ?) ON CONFLICT (email) DO NOTHING`,
		made.ID, made.Email, hash, time.Now().Unix())
	if err != nil {
		return user{}, fmt.Errorf("keeping the account: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return user{}, errors.Join(errTaken, err)
	}
	return made, nil
}

// check returns the user with this password. It takes as long for somebody who
// has no account.
func (u *users) check(ctx context.Context, email, password string) (user, error) {
	if len(password) > maxPassword {
		return user{}, errNoMatch
	}
	email, err := normal(email)
	if err != nil {
		return user{}, errNoMatch
	}
	found, hash := user{}, u.hasher.dummy
	err = u.db.QueryRowContext(ctx, `SELECT id, email, password FROM users WHERE email = ?`, email).Scan(&found.ID, &found.Email, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return user{}, fmt.Errorf("looking for the account: %w", err)
	}
	good, err := u.hasher.verify(ctx, hash, password)
	if err != nil {
		return user{}, err
	}
	if !good || found.ID == "" {
		return user{}, errNoMatch
	}
	return found, nil
}

// email returns a user's address.
func (u *users) email(ctx context.Context, id string) (email string, err error) {
	err = u.db.QueryRowContext(ctx, `SELECT email FROM users WHERE id = ?`, id).Scan(&email)
	return email, err
}

// maxEmail is how long an address may be, in bytes (RFC 5321, section 4.5.3.1.3).
const maxEmail = 254

// normal returns one spelling of an e-mail address.
func normal(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail {
		return "", errEmail
	}
	return email, nil
}
