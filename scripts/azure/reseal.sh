#!/usr/bin/env bash
# Seals the secrets in one environment's store with the salt key in use, by the job that the infrastructure has for it, and waits for its
# end. After a rotation of salt-key (rotate.sh), once every process has the new one; refused before.
#
#   scripts/azure/reseal.sh --env dev [--client pvc] [--dry-run]

. "$(dirname "$0")/common.sh"

take -- "$@"
names=$(name_of rg cajrs kv)
{ read -r group && read -r job && read -r vault; } <<<"$names"
if missing az containerapp job show --resource-group "$group" --name "$job"; then die 'There is no store whose secrets could be sealed.'; fi
# A control plane that seals with the key before would go on after the job.
settled "$vault" salt-key
run_job "$group" "$job" reseal
say 'Earlier salt keys are needed no more: scripts/azure/rotate.sh --secret salt-key-previous takes them away.'
