#!/usr/bin/env bash
# Brings the schema of one environment's store up to date, by the job that the infrastructure has for it, and waits for its end. An
# environment without such a job has no store that needs it.
#
#   scripts/azure/migrate.sh --env dev [--client pvc] [--dry-run]

. "$(dirname "$0")/common.sh"

take -- "$@"
group=$(name_of rg)
job=$(name_of caj)
if missing az containerapp job show --resource-group "$group" --name "$job"; then exit 0; fi

if [ "$dry_run" = true ]; then
  change az containerapp job start --resource-group "$group" --name "$job"
  exit 0
fi
execution=$(ask az containerapp job start --resource-group "$group" --name "$job" --query name)
# The job itself ends after ten minutes.
for _ in $(seq 120); do
  status=$(ask az containerapp job execution show --resource-group "$group" --name "$job" --job-execution-name "$execution" --query properties.status)
  case $status in
    Succeeded)
      say "$execution has succeeded"
      exit 0
      ;;
    Failed | Stopped | Degraded) die "$execution: $status. Its log: az containerapp job logs show --resource-group $group --name $job --execution $execution --container gateway" ;;
  esac
  sleep "${MIGRATION_POLL_SECONDS:-5}"
done
die "$execution has not ended"
