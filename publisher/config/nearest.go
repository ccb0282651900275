package config

import "strings"

// nearest returns the candidate that the user probably meant, or "". Case, and - for _,
// make no difference. Otherwise two edits are near, or a third of the word's letters if
// that is more.
func nearest(word string, candidates []string) string {
	best, bestEdits := "", max(2, len(word)/3)+1
	folded := fold(word)
	for _, c := range candidates {
		if edits := distance(folded, fold(c)); edits < bestEdits {
			best, bestEdits = c, edits
		}
	}
	// Two edits turn any two-letter word into any other.
	if bestEdits >= len(word) {
		return ""
	}
	return best
}

func fold(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "-", "_")
}

// distance is the number of edits (insert, delete, replace, swap of neighbours)
// that turn a into b: optimal string alignment over octets, which is exact for
// the ASCII that keys are made of.
func distance(a, b string) int {
	// Three rows are enough: a swap looks two rows back.
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
