package lifecycle

import "errors"

// Closers closes what was opened, last first. The zero value is ready to use.
type Closers struct{ all []func() error }

// Add adds the function that closes what was just opened.
func (c *Closers) Add(closer func() error) { c.all = append(c.all, closer) }

// Close calls all that were added, in reverse order, each once.
func (c *Closers) Close() error {
	var errs []error
	for i := len(c.all) - 1; i >= 0; i-- {
		errs = append(errs, c.all[i]())
	}
	c.all = nil
	return errors.Join(errs...)
}
