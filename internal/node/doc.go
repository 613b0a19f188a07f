// Package node is what one process is: the roles it runs, what it opens for them, and how that runs and stops. Only this package knows
// which servers are external and which are embedded in the process.
//
// Calls between its files go down, in this order: run, drain, node, health, migrate, adopt, places, inboxes, products, roles, table, and
// below the table what its entries and the node open: sagas, messaging, provider, cache, mails, system, store, front, profiles, process.
// Only benchmarks call inside.
package node
