package middleware

import (
	"io"
	"net/http"
	"sync"
)

// A replayBody is a request's body that two runs of a handler can read from its
// beginning. It keeps what has been read, up to limit bytes; after that, the
// second run is not possible. The first run may still be reading when the
// second begins: the transport of a reverse proxy reads on after the response.
type replayBody struct {
	body  io.ReadCloser
	limit int

	mu     sync.Mutex // guards the fields below, and reads of body
	kept   []byte     // what has been read
	err    error      // how body has ended; nil: it has not
	lost   bool       // more than limit bytes have been read
	runs   int        // the number of the current run; only its reader may read
	direct bool       // the second run has begun, and nothing more is kept
}

// rewind reports whether a second run can read all of the body. If so, the
// reader of the first run reads nothing more. If that reader is waiting for the
// client now, rewind returns false instead of waiting for it.
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

// reader returns the body for the next run. It returns nil if b is nil.
func (b *replayBody) reader() io.ReadCloser {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs++
	return &replayReader{of: b, run: b.runs}
}

// A replayReader is the body as one run of the handler reads it.
type replayReader struct {
	of  *replayBody
	run int // its number
	at  int // how much of of.kept it has read
}

func (r *replayReader) Read(p []byte) (int, error) {
	b := r.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.run < b.runs {
		return 0, http.ErrBodyReadAfterClose // another run has begun
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

// Close does nothing, as another run may read the body. The server closes it
// after the handler.
func (r *replayReader) Close() error { return nil }
