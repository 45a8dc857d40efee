#!/usr/bin/env bash
# Stands on PATH for `az`, `gh`, `terraform`, `cosign` and `git` in tests; what they would do is said by fake-cli.mjs.
LC_ALL=C
exec 3<>"/dev/tcp/127.0.0.1/$FAKE_CLI_PORT"
printf '%s\0' "$FAKE_CLI_FOLDER" "${TF_VAR_image:-}" "$#" "${0##*/}" "$@" >&3
read -r code out told <&3
IFS= read -r -N "$out" -u 3 printed
IFS= read -r -N "$told" -u 3 said
printf '%s' "$printed"
printf '%s' "$said" >&2
exit "$code"
