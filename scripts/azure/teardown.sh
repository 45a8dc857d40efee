#!/usr/bin/env bash
# Takes back what the bootstrap scripts made for one environment: its identities with their roles, the role that was defined for one of
# them, and its state. Refuses prod.
# The environment itself goes before that, by the workflow "destroy".
#
#   scripts/azure/teardown.sh --env dev --confirm pvc-dev [--client pvc] [--identity uami|app] [--container tfstate] [--dry-run]

. "$(dirname "$0")/common.sh"

identity=uami
confirm=
container=tfstate
take identity=identity confirm=confirm container=container -- "$@"
case $environment in prod*) die 'prod is not taken down by a script' ;; esac
[ "$confirm" = "$client-$environment" ] || die "--confirm $client-$environment is needed"
signed_in
names=$(name_of rgst st idplan idread idgha)
{ read -r group && read -r account && read -r plan && read -r read && read -r apply; } <<<"$names"

left=$(ask az group list --tag "env=$environment" --query "[?tags.client=='$client' && tags.\"managed-by\"=='cdktf'].name")
[ -z "$left" ] || die "There are still resources of it in $left: run the workflow \"destroy\" first"

for name in "$plan" "$read" "$apply"; do
  if [ "$identity" = uami ]; then
    if missing az identity show --resource-group "$group" --name "$name"; then continue; fi
    principal=$(ask az identity show --resource-group "$group" --name "$name" --query principalId)
  else
    app=$(ask az ad app list --display-name "$name" --query '[0].appId')
    [ -n "$app" ] || continue
    principal=$(ask az ad sp list --filter "appId eq '$app'" --query '[0].id')
  fi
  # Assignments of an identity that is gone stay behind, as of nobody.
  for assignment in $(ask az role assignment list --all --assignee "$principal" --query '[].id'); do
    change az role assignment delete --ids "$assignment"
  done
  if [ "$identity" = uami ]; then
    change az identity delete --resource-group "$group" --name "$name"
  else
    change az ad app delete --id "$app"
  fi
done

# The role has the name of the identity that it was defined for.
defined=$(ask az role definition list --name "$read" --custom-role-only --scope "/subscriptions/$subscription" --query '[].id')
[ -z "$defined" ] || change az role definition delete --name "$read" --custom-role-only --scope "/subscriptions/$subscription"

if ! missing az storage container-rm show --resource-group "$group" --storage-account "$account" --name "$container"; then
  change az storage container-rm delete --resource-group "$group" --storage-account "$account" --name "$container" --yes
fi
