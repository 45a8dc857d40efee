#!/usr/bin/env bash
# Prints the image that the Dockerfile builds on by its digest, as the registry has it now: what an image that others get is built on
# stands in its provenance, and two builds of one commit have the same.

set -euo pipefail

file=$(dirname "$0")/../../Dockerfile
name=$(sed -n 's/^ARG BUILD_IMAGE=//p' "$file")
digest=$(docker buildx imagetools inspect "$name" --format '{{.Manifest.Digest}}')
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || {
  printf 'No digest of %s: %s\n' "$name" "$digest" >&2
  exit 1
}
printf '%s@%s\n' "$name" "$digest"
