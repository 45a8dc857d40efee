#!/usr/bin/env bash
# Makes the place where Terraform keeps the state of one environment, and registers what the subscription needs.
#
#   scripts/azure/bootstrap-state.sh --env dev [--client pvc] [--region southafricanorth] [--dry-run]
#   scripts/azure/bootstrap-state.sh --env dev --group GROUP --account ACCOUNT --container NAME     one that environments share
#
# Run it again at any time: what is there already stays. A place of another name than the usual one has to stand in the environment's
# configuration, as `state`; it ends with that line.

. "$(dirname "$0")/common.sh"

region=southafricanorth
group=
account=
container=tfstate
take region=region group=group account=account container=container -- "$@"
signed_in
names=$(name_of rgst st)
{ read -r own_group && read -r own_account; } <<<"$names"
group=${group:-$own_group}
account=${account:-$own_account}

# Terraform is told not to register them itself: that would need rights over the whole subscription on every apply. Container Apps in a
# virtual network want ContainerService too.
registered=$(ask az provider list --query "[?registrationState=='Registered'].namespace")
for provider in App Cache Cdn CognitiveServices ContainerService DBforPostgreSQL DocumentDB Insights KeyVault ManagedIdentity Network OperationalInsights Storage; do
  grep -qixF "Microsoft.$provider" <<<"$registered" || change az provider register --namespace "Microsoft.$provider"
done

if missing az group show --name "$group"; then
  change az group create --name "$group" --location "$region" --tags "client=$client" "env=$environment" purpose=terraform-state
fi
if missing az storage account show --resource-group "$group" --name "$account"; then
  # State holds what Terraform knows, secrets of resources too: no shared keys, nothing public.
  change az storage account create --resource-group "$group" --name "$account" --location "$region" --sku Standard_ZRS \
    --kind StorageV2 --min-tls-version TLS1_2 --https-only true --allow-blob-public-access false --allow-shared-key-access false
fi
protection=$(ask az storage account blob-service-properties show --resource-group "$group" --account-name "$account" \
  --query '[isVersioningEnabled, deleteRetentionPolicy.enabled]' 2>/dev/null | tr '\n' ' ' || true)
if [ "$protection" != 'true true ' ]; then
  change az storage account blob-service-properties update --resource-group "$group" --account-name "$account" \
    --enable-versioning true --enable-delete-retention true --delete-retention-days 30
fi
# By the resource provider rather than the data plane: whoever runs this has no role on the data yet.
if missing az storage container-rm show --resource-group "$group" --storage-account "$account" --name "$container"; then
  change az storage container-rm create --resource-group "$group" --storage-account "$account" --name "$container"
fi

printf "state: { resourceGroup: '%s', storageAccount: '%s', container: '%s' }\n" "$group" "$account" "$container"
