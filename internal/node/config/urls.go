package config

import (
	"fmt"
	"net/url"
	"strings"
)

// checkURL returns why value is no URL with one of the schemes. The error never quotes it, since it can hold a password.
func checkURL(name, value, schemes string) error {
	scheme, _, found := strings.Cut(value, "://")
	if !found || !contains(schemes, strings.ToLower(scheme)) {
		return fmt.Errorf("%s is malformed: it must be a URL that starts with %s://", name, strings.ReplaceAll(schemes, " ", ":// or "))
	}
	if parsed, err := url.Parse(value); err != nil || endsTooEarly(parsed) {
		return fmt.Errorf("%s is malformed: it can't be read as a URL. A user and a password in it are percent-encoded: %% as %%25, # as %%23, "+
			"/ as %%2F, ? as %%3F, @ as %%40, a space as %%20", name)
	}
	return nil
}

// endsTooEarly reports whether a password as it is ended the host before its time: what follows the first #, / or ? of
// redis://user:12/34@host is not the host. No URL of ours has a fragment.
func endsTooEarly(u *url.URL) bool {
	if u.Fragment != "" {
		return true
	}
	if u.User != nil || u.Host == "" {
		return false
	}
	afterQuestion, _, _ := strings.Cut(u.RawQuery, "=")
	return strings.Contains(u.EscapedPath(), "@") || strings.Contains(afterQuestion, "@")
}
