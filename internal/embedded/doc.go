// Package embedded holds the parts that stand in for outside servers when everything runs on one machine that has only
// Go: the Temporal command line tool and the development server it starts, a Redis in this process, and the lock that
// lets one process at a time use a data folder.
//
// It runs on Linux, macOS and the BSDs; it relies on flock, process groups and signals.
package embedded
