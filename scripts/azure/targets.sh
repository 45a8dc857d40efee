#!/usr/bin/env bash
# Prints to which environments a run of the workflow `deploy` is to go, as a list in JSON: those of the client, or none where the run of a later merge has got so far before, because
# its checks were quicker. What this one would bring is in that one, which loses its turn where it waits and this one comes after it: of those that wait GitHub keeps the last to come.
#
#   scripts/azure/targets.sh CLIENT OWNER/NAME RUN_NUMBER     the name of the job that calls this is "Targets"

set -euo pipefail

if [ "${1:-}" = --help ] || [ $# -ne 3 ]; then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit $(($# == 1 ? 0 : 1))
fi

environments=$("$(dirname "$0")/environments.sh" "$1")
later=$(gh api "repos/$2/actions/workflows/deploy.yml/runs?branch=main&event=push&per_page=100" --jq ".workflow_runs[] | select(.run_number > $3) | .id")
for run in $later; do
  passed=$(gh api "repos/$2/actions/runs/$run/jobs?per_page=100" --jq '.jobs[] | select(.name == "Targets" and .conclusion == "success") | .id')
  if [ -n "$passed" ]; then
    printf '%s\n' "A later merge has gone before, with this one in it: https://github.com/$2/actions/runs/$run" >&2
    environments='[]'
    break
  fi
done
printf '%s\n' "$environments"
