// Package recipes has the code of the README's recipes: what is shown there is
// compiled and run here, and a test compares the two. There is nothing to import.
package recipes
