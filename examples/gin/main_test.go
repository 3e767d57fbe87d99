package main

import (
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/routersite"
)

func TestTheProgram(t *testing.T) { routersite.Test(t) }
