// Package providers has tests alone: the gateway between browsers and the real
// providers of others, one table of scenarios for all of them. README.md says
// how they are run, and keeps the table.
package providers
