#!/bin/sh
# Sends a lead. LEADMILL_URL is where leadmill is, LEADMILL_KEY the key of a source.
# The Idempotency-Key makes it safe to send again: a lead is stored once. Name it after what you send.
set -eu

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# The key goes through stdin, so that it shows in no list of processes.
printf 'header = "Authorization: Bearer %s"\n' "$LEADMILL_KEY" |
  curl --config - --silent --show-error --fail-with-body --max-time 30 \
    --retry 5 --retry-connrefused --output "$answer" \
    --header 'Content-Type: application/json' \
    --header 'Idempotency-Key: order-17' \
    --data '{"email": "ada@example.com", "name": "Ada Lovelace", "phone": "+44 20 7946 0123", "utm_source": "newsletter"}' \
    "$LEADMILL_URL/api/v1/leads" || { cat "$answer" >&2; exit 1; }

cat "$answer" # {"id":"1042","status":"accepted","status_url":"/api/v1/intakes/1042"}
