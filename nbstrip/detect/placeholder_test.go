package detect

import (
	"math/rand/v2"
	"testing"
)

// TestStandInsByChance: a word that a random key happens to have inside makes no placeholder of it.
func TestStandInsByChance(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	alphabets := []string{
		"0123456789abcdef", "abcdefghijklmnopqrstuvwxyz0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
	}
	for _, word := range []string{"abc123", "abcdef", "1a2b3c", "a1b2c3", "your", "xxxx", "XXxX", "paste", "MyKey"} {
		taken, all := 0, 0
		for _, alphabet := range alphabets {
			for _, n := range []int{32, 40, 64} {
				for range 50 {
					at := 1 + r.IntN(n-len(word)-1)
					key := chars(r, at, alphabet) + word + chars(r, n-at-len(word), alphabet)
					if all++; placeholder([]byte(key)) {
						taken++
					}
				}
			}
		}
		// What is left: one more x beside xxxx, few digits in the rest.
		if taken*10 > all {
			t.Errorf("%s makes %d of %d random keys placeholders", word, taken, all)
		}
	}
}

// TestStandIns: what somebody wrote in the place of a secret stays one, also where it has digits around it.
func TestStandIns(t *testing.T) {
	for _, v := range []string{
		"sk-abc123def456ghi789jkl012mno345pqr678", "pk51abc123def456ghi789jkl012", "0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d",
		"AKIAxxxxxxxxxxxxxxxx", "sk-proj-xxxxxxxxxxxxxxxxxxxxxxxx", "sk-4f9aK2xxxxxxxxxxxxxxxxxxxx8d7c6b5aQ2", "hf_YOURtokenGOEShere12345678901234567",
		"your32characterkeygoeshere1234567", "MyYourKey12345", "put_your_key_here_0123", "1234567890abcdef1234567890abcdef",
		"00000000-your-uuid-here-000000000000", "paste1your2key3here4", "_SECRET_", "insert-4f9a8b-here",
	} {
		if !placeholder([]byte(v)) {
			t.Errorf("%s is no placeholder", v)
		}
	}
}

// TestRandom: machines' keys with few digits are told from names in camelCase.
func TestRandom(t *testing.T) {
	for v, want := range map[string]bool{
		"PKlyRFfhJFkVnFKcMF4peJjLKNUKAgpi": true, "ZgXSJGhnHwdTYJHBAsa1XzvDhQaDVjDM": true,
		"getElementsByTagNameForUser2InTheDocument": false, "XMLHttpRequestEventTarget2WithCredentials": false,
		"sklearnLogisticRegressionCVClassifier1": false, "TheQuickBrownFoxJumpsOverTheLazyDog1": false,
	} {
		if got := random([]byte(v)); got != want {
			t.Errorf("%s: %v", v, got)
		}
	}
}
