package refresh

import (
	"context"
	"errors"
	"time"
)

// askingAgain are the pauses before a call is made again whose answer was lost.
// Together they are less than ten seconds, the shortest grace that providers
// recommend. Each is shorter by up to a half, by another part for each login, so
// that they do not all ask at once.
var askingAgain = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// askAgain makes k's call once more, for nobody in particular, if by then nobody
// else has. A provider that has exchanged the refresh token gives the new ones
// again within its grace; one without grace has lost the login already, and the
// browser's next request would not find another answer.
func (c *Coordinator) askAgain(ctx context.Context, k *call) {
	slow := errors.Is(k.err, context.DeadlineExceeded)
	if k.again == len(askingAgain) || slow && k.slow {
		return // who takes so long twice will not be hurried
	}
	if !c.book.planAgain(k) {
		return
	}
	pause := askingAgain[k.again]
	pause -= pause / 2 * time.Duration(keyOf(k.old.Refresh)[0]) / 256
	select {
	case <-time.After(pause):
	case <-c.closing:
	}
	c.book.enterAgain(k, func(next *call) {
		next.slow = slow
		c.wg.Go(func() { c.run(ctx, next) })
	})
}

// planAgain tells whether k's call is to be made again: once for all who have
// made it meanwhile, and not where the provider has more to do than to answer
// twice.
func (b *book) planAgain(k *call) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := keyOf(k.old.Refresh)
	if _, planned := b.again[id]; planned || len(b.again) >= maxAtOnce {
		return false
	}
	b.again[id] = struct{}{}
	return true
}

// enterAgain starts another call in k's place, unless that has become needless.
func (b *book) enterAgain(k *call, start func(*call)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, l := keyOf(k.old.Refresh), k.login.whole()
	delete(b.again, id)
	if p, ok := b.page(id); ok {
		l = p.login
	}
	exchanged := l.newest.Access != k.old.Access || l.newest.Refresh != k.old.Refresh
	if b.together {
		exchanged = l.newest.leads(k.old) // else the call has gone on from them
	}
	if b.closed || l.over != nil || exchanged || b.calls[id] != nil || b.refused.Contains(id) {
		return
	}
	again := &call{login: l, old: k.old, sent: k.sent, again: k.again + 1, done: make(chan struct{})}
	b.calls[id] = again
	start(again)
}
