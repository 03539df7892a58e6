#!/bin/sh
# Fuzzes a server from its own OpenAPI document with schemathesis.
#
#   pip install schemathesis
#   api/clients/schemathesis/run.sh                        # a server of this tree
#   api/clients/schemathesis/run.sh http://127.0.0.1:8080  # one that runs
#
# EXAMPLES is how many requests each operation gets (100). Left out is one check:
# that a request which fits its schema succeeds, because whether a token id or a
# length is possible depends on the model.
set -eu
url=${1:-}
if [ -z "$url" ]; then
	cd "$(dirname "$0")/../../.."
	folder=$(mktemp -d)
	server=
	trap 'test -z "$server" || kill "$server"; rm -r "$folder"' EXIT
	CGO_ENABLED=0 go build -o "$folder/causerie" .
	"$folder/causerie" serve --listen 127.0.0.1:0 --dtype int8 --log-json 2>"$folder/log" &
	server=$!
	until grep -q '"message":"ready"' "$folder/log"; do
		kill -0 "$server"
		sleep 0.2
	done
	url=http://$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$folder/log")
fi
schemathesis run "$url/openapi.json" --phases coverage,fuzzing --max-examples "${EXAMPLES:-100}" --max-failures 50 \
	--exclude-checks positive_data_acceptance
