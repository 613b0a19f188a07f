package config

import (
	"fmt"
	"strings"
)

// checkKey returns why value can't be an API key of the provider. The error never quotes it.
func checkKey(name, value string) error {
	refused := func(why string) error {
		return fmt.Errorf("%s is malformed: it %s; it must be a secret key (sk_...) or a restricted key (rk_...)", name, why)
	}
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refused("has a space, a line break or another character in it that no key has")
	case strings.HasPrefix(value, "pk_"):
		return refused("is a publishable key, which is for browsers")
	case strings.HasPrefix(value, "whsec_"):
		return refused("is the secret of a webhook")
	case !strings.HasPrefix(value, "sk_") && !strings.HasPrefix(value, "rk_"):
		return refused("has another prefix")
	}
	return nil
}
