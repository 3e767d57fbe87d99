package sessions_test

import (
	"context"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/sessions"
)

func benchmarked(b *testing.B) (*sessions.Sessions, refresh.Tokens) {
	b.Helper()
	s := &sessions.Sessions{
		Refresher: refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
			return refresh.Tokens{Access: string(make([]byte, 1000)), Refresh: old.Refresh + "'", Expiry: time.Now().Add(time.Minute)}, nil
		}),
		Store: new(refresh.MemoryStore),
	}
	tok, err := s.Start(b.Context(), refresh.Tokens{Access: string(make([]byte, 1000)), Refresh: "r"}, alice)
	if err != nil {
		b.Fatal(err)
	}
	return s, tok
}

func BenchmarkAccess(b *testing.B) {
	s, tok := benchmarked(b)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Access(ctx, tok.Access); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAccessParallel(b *testing.B) {
	s, tok := benchmarked(b)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Access(ctx, tok.Access); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRefresh is a provider's answer and all that comes with it.
func BenchmarkRefresh(b *testing.B) {
	for name, kept := range map[string]string{"with a refresh token": "r", "without": ""} {
		b.Run(name, func(b *testing.B) {
			s, _ := benchmarked(b)
			if kept == "" {
				s = &sessions.Sessions{Refresher: refresh.Func(func(_ context.Context, old refresh.Tokens) (refresh.Tokens, error) {
					return refresh.Tokens{Access: old.Access}, nil
				}), Store: new(refresh.MemoryStore)}
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				tok, err := s.Start(b.Context(), refresh.Tokens{Access: string(make([]byte, 1000)), Refresh: kept}, refresh.Identity{Issuer: "i", Subject: time.Now().String()})
				b.StartTimer()
				if err == nil {
					_, err = s.Refresh(b.Context(), tok)
				}
				if err != nil {
					b.Fatal(err)
				}
				kept += kept[:min(1, len(kept))]
				if len(kept) > 64 {
					kept = time.Now().String()
				}
			}
		})
	}
}
