module github.com/tokenlife/tokenlife/examples

go 1.26.0

require github.com/tokenlife/tokenlife v0.0.0

replace github.com/tokenlife/tokenlife => ../
