package config

import (
	"fmt"
	"net/url"
	"strings"
)

// checkAddresses checks where browsers and other clients find the API.
func (c Config) checkAddresses() error {
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || !contains("http https", u.Scheme) || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery ||
			strings.ContainsAny(c.PublicURL, "#%") || strings.Contains(u.Path, "//") {
			return fmt.Errorf("ORDERLY_PUBLIC_URL is malformed: it must be like https://shop.example or https://shop.example/base")
		}
	}
	for _, origin := range c.CORSOrigins {
		u, err := url.Parse(origin)
		if err != nil || !contains("http https", u.Scheme) || u.Host == "" || u.Scheme+"://"+strings.ToLower(u.Host) != origin {
			return fmt.Errorf("ORDERLY_CORS_ORIGINS is malformed: %q is no origin like https://shop.example or http://localhost:3000, "+
				"in lower case and without a path; there is no * for all", origin)
		}
	}
	return nil
}
