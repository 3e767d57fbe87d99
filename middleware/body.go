package middleware

import (
	"io"
	"net/http"
	"sync"
)

// A replayBody is a request's body that can be read again from its beginning, as
// long as no more than limit bytes have been read of it. The reader of the first run
// may still be in use when that of the second begins: a reverse proxy's
// transport reads on after the answer.
type replayBody struct {
	body  io.ReadCloser
	limit int

	mu     sync.Mutex // guards what follows, and reading body
	kept   []byte
	err    error // what body ended with
	lost   bool  // more has been read than is kept
	runs   int   // readers given out
	direct bool  // the second run reads what is not kept straight from body
}

// rewind reports whether the next run can read all of the body, which is so if
// all that has been read is kept. If so, nothing more is read for the first run,
// which has answered already. A read that waits for the client just now is not
// waited for.
func (b *replayBody) rewind() bool {
	if b == nil {
		return true
	}
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	if b.lost {
		return false
	}
	b.runs++
	b.direct = true
	return true
}

// reader returns a body for the next run, or nil without a replayBody.
func (b *replayBody) reader() io.ReadCloser {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs++
	return &replayReader{of: b, run: b.runs}
}

type replayReader struct {
	of  *replayBody
	run int
	at  int
}

func (r *replayReader) Read(p []byte) (int, error) {
	b := r.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.run < b.runs {
		return 0, http.ErrBodyReadAfterClose // another run has taken over
	}
	if r.at < len(b.kept) {
		n := copy(p, b.kept[r.at:])
		r.at += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	b.err = err
	switch {
	case b.lost || b.direct:
	case len(b.kept)+n > b.limit:
		b.lost, b.kept = true, nil
	default:
		b.kept = append(b.kept, p[:n]...)
		r.at += n
	}
	return n, err
}

// Close does nothing: the server closes the body when the handler has returned,
// and until then another run may want it.
func (r *replayReader) Close() error { return nil }
