// Package node is what one process is: the roles it runs, what it opens for them, and how that runs and stops. This is where everything
// meets: what is real and what is embedded is decided here and known nowhere else.
//
// Calls between its files go down, in this order: run, node, health, migrate, inboxes, products, roles, table, and below the table what
// its entries and the node open: sagas, messaging, provider, cache, mails, store, front, profiles, process. An inside is for benchmarks.
package node
