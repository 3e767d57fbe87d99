//go:build !linux

package refreshtest

import "syscall"

// attributes is of use on Linux only: elsewhere nobody runs tests as root.
func attributes(*account) *syscall.SysProcAttr { return nil }
