package sessions

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// Defaults of the fields of Sessions.
const (
	DefaultAbsolute = 30 * 24 * time.Hour
	DefaultCacheFor = 10 * time.Second
)

// Sessions keep the tokens of logins in a Store and give their clients handles
// that each refresh replaces. They are a [refresh.Keeper], a [refresh.Revoker],
// a [refresh.Replacer] and a [refresh.Arriver].
//
// Of two that present one handle, both get the same successor, until that has
// been presented and Grace beyond; whoever comes with a handle that was replaced
// before ends the login for everybody, because one of them has stolen it (RFC
// 9700, section 4.14.2).
//
// Put a [refresh.Coordinator] in front, as package middleware does by itself:
// requests at the same time are then one refresh. What is promised here holds
// without it.
//
// An error that wraps [refresh.ErrDenied] says that a login is over, one that
// wraps [refresh.ErrNotFound] that there is none. Every other error is temporary,
// or tells of a mistake in the program; Validate finds those of the configuration
// at its start.
//
// Set the fields before the first use, do not change or copy Sessions after it,
// and use it by pointer, from any number of goroutines.
type Sessions struct {
	// Refresher exchanges the provider's tokens. It is called by one caller at a
	// time for one refresh token, and again after an error alone. For a login
	// without a refresh token several replicas may call it for one refresh, and the
	// tokens of one of them count. Where it is a [refresh.Revoker], the provider is
	// told of logins that end here, but for those that Replaced ends. Required.
	Refresher refresh.Refresher

	// Store holds the logins. Replicas share it. Required: one in memory, a
	// [refresh.MemoryStore], forgets every login when the program ends.
	Store refresh.Store

	// Grace is how long a handle that has been replaced is good after its
	// successor has been presented: the time in which requests that were under
	// way can arrive. Default 30 s; negative: none.
	Grace time.Duration

	// Keep is how long it is good while the successor has not been presented:
	// the time in which a browser whose answer was lost can come back. Default
	// 24 h; negative: none.
	Keep time.Duration

	// Idle is how long a login lives without a refresh. It should be several
	// times the life of an access token, because a login in use is refreshed no
	// more often than that. A login that ends so, or by Absolute, is not revoked at
	// the provider: its tokens are sealed under a handle that nobody brings any more.
	// Default: as long as Absolute.
	Idle time.Duration

	// Absolute is how long a login lives from its start. Default 720 h.
	Absolute time.Duration

	// CacheFor is how long an access token is believed to be that of its handle
	// before the Store is asked again: the longest that a login which was ended
	// at another replica goes on at this one, beside one look at the Store. While
	// the Store cannot be reached, the token is believed until it expires. Each
	// login in use costs one read of the Store in this time. Default 10 s;
	// negative: the Store is asked each time.
	CacheFor time.Duration

	// Timeout is how long one caller of Refresh waits. The call of the provider
	// gets twice this time, and an answer that comes after the caller has given up
	// is kept for the next one. A look at the Store has a quarter of Timeout, a
	// second at the most. Default 5 s.
	Timeout time.Duration

	// ShowAccess gives clients the access token and the ID token themselves, and
	// a handle only in place of the refresh token. Default: they get neither.
	ShowAccess bool

	// Observe hears of logins that end by themselves: [event.HandleReused],
	// [event.LoginDenied] and [event.LoginDisplaced]. Default: the hook of the
	// middleware.Auth whose Refresher this is, or none.
	Observe event.Hook

	once     sync.Once
	err      error // of Validate
	grace    time.Duration
	keep     time.Duration
	idle     time.Duration
	absolute time.Duration
	cacheFor time.Duration
	timeout  time.Duration
	store    timedStore
	begin    time.Time
	flights  flights
	views    *lru.Cache[string, *view]   // of logins, by name
	recent   *lru.Cache[string, *stored] // records, by name
	ends     atomic.Uint64               // counts the logins ended here
	fallback event.Fallback              // where Observe is nil
}

var (
	_ refresh.Keeper  = (*Sessions)(nil)
	_ refresh.Revoker = (*Sessions)(nil)
	_ refresh.Arriver = (*Sessions)(nil)
)

// maxViews is how many logins' access tokens are at hand without the Store.
const maxViews = 16384

// Validate reports a mistake in the configuration, naming the field.
func (s *Sessions) Validate() error {
	switch {
	case s.Refresher == nil:
		return errors.New("sessions: Sessions.Refresher is nil")
	case s.Store == nil:
		return errors.New("sessions: Sessions.Store is nil")
	case s.Idle < 0:
		return errors.New("sessions: Sessions.Idle is negative")
	case s.Absolute < 0:
		return errors.New("sessions: Sessions.Absolute is negative")
	case s.Timeout < 0:
		return errors.New("sessions: Sessions.Timeout is negative")
	}
	if r, ok := s.Refresher.(interface{ Validate() error }); ok {
		return r.Validate()
	}
	return nil
}

// LoginStore returns Store, for [refresh.SharedStore].
func (s *Sessions) LoginStore() refresh.Store { return s.Store }

func (s *Sessions) ready() error {
	s.once.Do(func() {
		if s.err = s.Validate(); s.err != nil {
			return
		}
		s.grace = max(0, cmp.Or(s.Grace, refresh.DefaultGrace))
		s.keep = max(0, cmp.Or(s.Keep, refresh.DefaultKeep), s.grace)
		s.absolute = cmp.Or(s.Absolute, DefaultAbsolute)
		s.idle = min(cmp.Or(s.Idle, s.absolute), s.absolute)
		s.cacheFor = max(0, cmp.Or(s.CacheFor, DefaultCacheFor))
		s.timeout = cmp.Or(s.Timeout, refresh.DefaultTimeout)
		s.store = timedStore{s.Store, min(time.Second, s.timeout/4), new(health)}
		s.begin = time.Now()
		if s.err = s.flights.open(); s.err != nil {
			return
		}
		if s.recent, s.err = lru.New[string, *stored](maxRecent); s.err != nil {
			return
		}
		s.views, s.err = lru.New[string, *view](maxViews)
	})
	return s.err
}

// Start implements [refresh.Keeper]: it begins a login with a provider's tokens.
// The subject must not be empty. A device longer than 200 bytes is cut.
func (s *Sessions) Start(ctx context.Context, t refresh.Tokens, whose refresh.Identity) (refresh.Tokens, error) {
	switch err := s.ready(); {
	case err != nil:
		return refresh.Tokens{}, err
	case t.Access == "":
		return refresh.Tokens{}, errors.New("sessions: a login cannot start without an access token")
	case whose.Subject == "":
		return refresh.Tokens{}, errors.New("sessions: a login cannot start without a subject")
	}
	now := time.Now()
	h := newHandle(rand.Text())
	l := login{
		Issuer: whose.Issuer, Subject: whose.Subject, Session: whose.Session, Device: cut(whose.Device),
		Since: now.UnixMilli(), Last: now.Add(s.absolute).UnixMilli(),
	}
	if !whose.IssuedAt.IsZero() {
		l.Issued = whose.IssuedAt.UnixMilli()
	}
	s.use(&l, t, now)
	name := h.name()
	if err := l.setTokens(name, h, t); err != nil {
		return refresh.Tokens{}, err
	}
	raw, err := l.encode()
	if err != nil {
		return refresh.Tokens{}, err
	}
	ends := s.ends.Load()
	// Listed first: a login that is in no list would be there for good.
	if err := s.list(ctx, name, &l); err != nil {
		return refresh.Tokens{}, err
	}
	begun, err := s.put(ctx, loginKey(name), nil, raw, l.left(now))
	if err != nil {
		return refresh.Tokens{}, err
	}
	if !begun {
		return refresh.Tokens{}, errors.New("sessions: the login was ended as it began")
	}
	s.cache(name, slot{h.access(), t.Access}, time.Since(s.begin), ends)
	return s.client(&l, h, t), nil
}

// use notes that a login was used now, with the provider's tokens t.
func (s *Sessions) use(l *login, t refresh.Tokens, now time.Time) {
	l.Used = now.UnixMilli()
	l.Ends = min(now.Add(s.idle).UnixMilli(), l.Last)
	if !t.RefreshExpiry.IsZero() {
		l.Ends = max(min(l.Ends, t.RefreshExpiry.UnixMilli()), l.Used+1)
	}
}

// client returns what the client of a login is to hold, t being the provider's
// tokens and h the current handle.
func (s *Sessions) client(l *login, h handle, t refresh.Tokens) refresh.Tokens {
	// The same for all, whether they have been through the Store or not.
	expiry := t.Expiry.UTC().Round(0)
	c := refresh.Tokens{Access: h.access(), Refresh: string(h), Expiry: expiry, RefreshExpiry: time.UnixMilli(l.Ends)}
	if s.ShowAccess {
		c.Access, c.ID = t.Access, t.ID
	}
	return c
}

// Close waits until no call of the provider is under way, and no result is to be
// written. Each ends by itself: within four times Timeout, and seven where the
// Store fails. Later refreshes fail.
func (s *Sessions) Close() error {
	if err := s.ready(); err != nil {
		return err
	}
	s.flights.close()
	return nil
}

// cut bounds what a client says of its device to something to show.
func cut(device string) string {
	const most = 200
	device = strings.ToValidUTF8(device, "")
	if len(device) <= most {
		return device
	}
	end := most
	for !utf8.RuneStart(device[end]) {
		end--
	}
	return device[:end]
}
