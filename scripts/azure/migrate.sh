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
group=$(name_of rg)
job=$(name_of caj)
if missing az containerapp job show --resource-group "$group" --name "$job"; then exit 0; fi

change az containerapp job update --resource-group "$group" --name "$job" --container-name migration --image "$image"
if [ "$dry_run" = true ]; then
  change az containerapp job start --resource-group "$group" --name "$job"
  exit 0
fi
execution=$(ask az containerapp job start --resource-group "$group" --name "$job" --query name)
# The job itself ends after half an hour.
for _ in $(seq 360); do
  status=$(ask az containerapp job execution show --resource-group "$group" --name "$job" --job-execution-name "$execution" --query properties.status)
  case $status in
    Succeeded)
      say "$execution has succeeded"
      exit 0
      ;;
    Failed | Stopped | Degraded) die "$execution: $status. Its log: az containerapp job logs show --resource-group $group --name $job --execution $execution --container migration" ;;
  esac
  sleep "${MIGRATION_POLL_SECONDS:-5}"
done
die "$execution has not ended"
