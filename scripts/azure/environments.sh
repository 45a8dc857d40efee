#!/usr/bin/env bash
# Prints which of dev, staging and prod a client has, in the order in which a merge goes through them, as a list in JSON.
#
#   scripts/azure/environments.sh CLIENT

set -euo pipefail

if [ "${1:-}" = --help ] || [ $# -ne 1 ]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit $(($# == 1 ? 0 : 1))
fi

clients=$(dirname "$0")/../../cdktf/clients
list=
for environment in dev staging prod; do
  [ ! -e "$clients/$1/$environment.ts" ] || list=$list${list:+,}\"$environment\"
done
if [ -z "$list" ]; then
  printf '%s\n' "There is no environment of a client \"$1\": cdktf/clients/CLIENT has a file for each" >&2
  exit 1
fi
printf '[%s]\n' "$list"
