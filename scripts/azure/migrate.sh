#!/usr/bin/env bash
# Brings the schema of one environment's store up to what an image needs, by the job that the infrastructure has for it, and waits for
# its end. An environment without such a job has no store that needs it.
#
#   scripts/azure/migrate.sh --env dev --image IMAGE [--client pvc] [--dry-run]
#
# Before processes of that image start: those of the release before live with the newer schema, not the other way round.

. "$(dirname "$0")/common.sh"

image=
take image=image -- "$@"
[ -n "$image" ] || die '--image is needed: the one that is to run; see --help'
names=$(name_of rg caj)
{ read -r group && read -r job; } <<<"$names"
if missing az containerapp job show --resource-group "$group" --name "$job"; then exit 0; fi

change az containerapp job update --resource-group "$group" --name "$job" --container-name migration --image "$image"
run_job "$group" "$job" migration
