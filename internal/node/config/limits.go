package config

import (
	"fmt"
	"strconv"

	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/source"
)

// noneExempt is the value of ORDERLY_LIMIT_EXEMPT that exempts no source, also where the command would.
const noneExempt = "none"

func (c Config) checkLimits() error {
	for _, l := range []struct{ name, value string }{
		{"ORDERLY_LIMIT_REQUESTS", c.LimitRequests}, {"ORDERLY_LIMIT_LOGINS", c.LimitLogins},
		{"ORDERLY_LIMIT_FAILED_LOGINS", c.LimitFailedLogins}, {"ORDERLY_LIMIT_WRONG_PASSWORDS", c.LimitWrongPasswords},
		{"ORDERLY_LIMIT_REGISTRATIONS", c.LimitRegistrations}, {"ORDERLY_LIMIT_ORDERS", c.LimitOrders},
	} {
		if _, err := limit.ParseRate(l.value); err != nil {
			return fmt.Errorf("%s is malformed: %w", l.name, err)
		}
	}
	if _, err := c.OpenOrders(); err != nil {
		return fmt.Errorf("ORDERLY_LIMIT_OPEN_ORDERS is malformed: %w", err)
	}
	if _, err := c.Exempt(nil); err != nil {
		return fmt.Errorf("ORDERLY_LIMIT_EXEMPT is malformed: %w", err)
	}
	return nil
}

// OpenOrders is how many unpaid orders a customer may have; 0 for any number.
func (c Config) OpenOrders() (int, error) {
	if c.LimitOpenOrders == "" || c.LimitOpenOrders == "off" {
		return 0, nil
	}
	most, err := strconv.Atoi(c.LimitOpenOrders)
	if err != nil || most < 1 {
		return 0, fmt.Errorf("%q is neither a number from 1 nor off", c.LimitOpenOrders)
	}
	return most, nil
}

// Exempt are the sources that meet no limit: unless is taken where nothing is set.
func (c Config) Exempt(unless source.Networks) (source.Networks, error) {
	switch c.LimitExempt {
	case "":
		return unless, nil
	case noneExempt:
		return nil, nil
	}
	return source.ParseNetworks(c.LimitExempt)
}
