package verify

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkIntrospection is for remembered tokens: their cost beside that of a
// cached JWT in BenchmarkVerify.
func BenchmarkIntrospection(b *testing.B) {
	a := newAuthority()
	i := newIntrospection(b, func(i *Introspection) { i.Ask, i.Remember = a.ask, time.Hour })
	raws := make([]string, 4096)
	for n := range raws {
		raws[n] = fmt.Sprintf("%s-%d", opaqueToken, n)
		a.ends[raws[n]] = time.Time{}
	}
	verify := func(b *testing.B, raws []string) {
		var t Token
		for _, raw := range raws {
			if err := i.VerifyTo(b.Context(), raw, &t); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			_ = i.VerifyTo(b.Context(), raws[n%len(raws)], &t)
		}
	}
	b.Run("in-use", func(b *testing.B) { verify(b, raws[:1]) })
	b.Run("one-of-4096", func(b *testing.B) { verify(b, raws) })
	b.Run("refused", func(b *testing.B) {
		var t Token
		b.ReportAllocs()
		for b.Loop() {
			_ = i.VerifyTo(b.Context(), "made-up-token-1", &t)
		}
	})
}
