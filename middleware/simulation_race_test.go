//go:build race

package middleware_test

const simUsual = 400
