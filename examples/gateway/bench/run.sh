#!/usr/bin/env bash
# What the gateway costs, beside a bare httputil.ReverseProxy:
#
#	bash examples/gateway/bench/run.sh [-rounds 5] [-round 3s] [-connections 64]
#
# It needs Go, wrk (Debian: apt-get install wrk) and Linux.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v wrk >/dev/null || {
	echo "wrk is not installed" >&2
	exit 1
}
programs="$(mktemp -d)"
trap 'rm -rf "$programs"' EXIT
go build -o "$programs/gateway" ..
go build -o "$programs/bench" .
"$programs/bench" -gateway "$programs/gateway" "$@"
