#!/usr/bin/env bash
# What `ibkr-tools fetch positions --jq '.positions|length'` does, as a shell script would:
# fetch_with_curl.sh URL CERTIFICATE ACCOUNT.
set -euo pipefail

get() { curl --silent --show-error --fail --cacert "$certificate" "$url$1"; }

url=$1 certificate=$2 account=$3
pages=$(mktemp --directory)
trap 'rm -r "$pages"' EXIT
get portfolio/accounts >/dev/null
number=0
while get "portfolio/$account/positions/$number" >"$pages/$number"; (($(jq length "$pages/$number") == 100)); do
    number=$((number + 1))
done
jq --slurp 'add | length' "$pages"/*
