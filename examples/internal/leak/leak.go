// Package leak looks for secrets in what a program has written.
package leak

// window is how much of a secret is a leak: as many characters of it, in a row,
// as nobody needs to tell two secrets apart.
const window = 12

// Find returns those names of secrets whose value, or 12 characters in a row of
// it, are in output; each name once, in no order. A value may be shorter than
// 12 characters: then the whole of it counts, if it has 6 or more.
func Find(output []byte, secrets map[string][]string) []string {
	const short = 6
	written := map[string]bool{} // every run of each length that matters
	for length := short; length <= window; length++ {
		for i := range len(output) - length + 1 {
			written[string(output[i:i+length])] = true
		}
	}
	var found []string
	for name, values := range secrets {
		if anyLeaks(written, values, short) {
			found = append(found, name)
		}
	}
	return found
}

func anyLeaks(written map[string]bool, values []string, short int) bool {
	for _, value := range values {
		if len(value) < short {
			continue
		}
		length := min(len(value), window)
		for i := range len(value) - length + 1 {
			if written[value[i:i+length]] {
				return true
			}
		}
	}
	return false
}
