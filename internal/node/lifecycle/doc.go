// Package lifecycle is how a process waits for what it needs, runs its parts, and stops them again in reverse order.
package lifecycle
