//go:build !linux

package refreshtest

import "syscall"

// attributes has an effect on Linux only, where tests may run as root.
func attributes(*account) *syscall.SysProcAttr { return nil }
