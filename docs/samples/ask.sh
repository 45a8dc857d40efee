#!/bin/sh
# Asks a model one question: ask.sh MODEL QUESTION. Needs curl. GATEWAY_URL and GATEWAY_KEY say where the gateway is and who asks.
# The question is put into JSON as it stands: no quotes, backslashes or line breaks in it.
set -eu
curl --silent --show-error --fail-with-body "$GATEWAY_URL/v1/chat/completions" \
  --header "Authorization: Bearer $GATEWAY_KEY" --header 'content-type: application/json' \
  --data "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"$2\"}]}"
