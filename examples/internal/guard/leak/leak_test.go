package leak

import (
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdefghij"
	tests := []struct {
		name   string
		output string
		value  string
		leaks  bool
	}{
		{"the whole secret", "token=" + secret + ".", secret, true},
		{"its first 12 characters", `{"token":"0123456789ab…"}`, secret, true},
		{"its last 12 characters", "…89abcdefghij", secret, true},
		{"12 characters from its middle, alone", "456789abcdef", secret, true},
		{"11 characters are too few", "the token 0123456789a was refused", secret, false},
		{"other letters", "nothing of it", secret, false},
		{"nothing was written", "", secret, false},
		{"a short secret", "password hunter2!", "hunter2", true},
		{"a part of a short secret", "password hunter!", "hunter2", false},
		{"a value too short to be one", "0 errors", "0", false},
		{"no value", "anything", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := find([]byte(tt.output), map[string][]string{"other": {"not in there at all"}, "token": {tt.value}})
			var want []string
			if tt.leaks {
				want = []string{"token"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
