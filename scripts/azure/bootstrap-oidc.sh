#!/usr/bin/env bash
# Lets GitHub Actions of one repository sign in to Azure for one environment, without any secret, as three identities, each trusted
# for its own jobs alone: one for pull requests, whose code nobody has read yet, may only look; one for the main branch reads everything
# anew, which takes secrets of apps (plan of a deployment, drift); one for jobs of the environment may change (apply).
#
#   scripts/azure/bootstrap-oidc.sh --env dev --repo OWNER/NAME [--client pvc] [--identity uami|app] [--region southafricanorth]
#                                   [--state-group GROUP --state-account ACCOUNT --state-container NAME] [--also RESOURCE] [--dry-run]
#
# --identity uami   managed identities with federated credentials: needs no rights in the directory (default)
# --identity app    app registrations with service principals, where those are the rule
# --also RESOURCE   the id of something in another subscription on which the infrastructure gives its identities a role: a registry, an
#                   account of Azure OpenAI. One at a time; those of an earlier run stay
#
# Run bootstrap-state.sh before. Run it again at any time: what is there already stays. It ends with the variables that the workflows
# read; all are ids, none is a secret.

. "$(dirname "$0")/common.sh"

identity=uami
region=southafricanorth
repo=
state_group=
state_account=
state_container=tfstate
also=
take identity=identity region=region repo=repo state-group=state_group state-account=state_account state-container=state_container also=also -- "$@"
[[ $repo == */* ]] || die '--repo is needed: OWNER/NAME; see --help'
[ -z "$also" ] || [[ $also == /subscriptions/*/providers/* ]] || die '--also is the id of a resource; see --help'
[ "$identity" = uami ] || [ "$identity" = app ] || die '--identity is uami or app'
signed_in
names=$(name_of rgst st idplan idread idgha)
{ read -r own_group && read -r own_account && read -r plan && read -r read && read -r apply; } <<<"$names"
state_group=${state_group:-$own_group}
state_account=${state_account:-$own_account}

# A repository made, renamed or moved since July 2026 has ids in its subjects, which only GitHub knows for sure.
prefix=$(gh api "repos/$repo/actions/oidc/customization/sub" --jq '.sub_claim_prefix // empty')
prefix=${prefix:-repo:$repo}
issuer=https://token.actions.githubusercontent.com
audience=api://AzureADTokenExchange

scope="/subscriptions/$subscription"
state="$scope/resourceGroups/$state_group/providers/Microsoft.Storage/storageAccounts/$state_account/blobServices/default/containers/$state_container"

# What the applying identity may assign, and take away again: to identities the roles that the infrastructure gives its own, to people the
# one that secretWriters have, which no identity gets, itself included. No other role.
to_identities=(
  4633458b-17de-408a-b874-0445c86b69e6 # Key Vault Secrets User
  5e0bd9bd-7b93-4f28-af87-19fc36ad61bd # Cognitive Services OpenAI User
  7f951dda-4ed3-4680-a7ca-43fe172d538d # AcrPull
)
to_people=(
  b86a8fe4-44ce-4948-aee5-eccb2c155cd7 # Key Vault Secrets Officer
)
# assigned WHICH TYPES ROLE…: that the assignment is of one of the roles, to somebody of one of the types.
assigned() {
  local which=$1 types=$2 roles
  shift 2
  roles=$(printf '%s, ' "$@")
  printf '(%s[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {%s} AND %s[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {%s})' \
    "$which" "${roles%, }" "$which" "$types"
}
condition=
for action in write:@Request delete:@Resource; do
  condition+="${condition:+ AND }((!(ActionMatches{'Microsoft.Authorization/roleAssignments/${action%:*}'}))"
  condition+=" OR $(assigned "${action#*:}" "'ServicePrincipal'" "${to_identities[@]}")"
  condition+=" OR $(assigned "${action#*:}" "'User', 'Group'" "${to_people[@]}"))"
done

# What the provider asks for beyond a Reader's rights when it reads apps, jobs and Cosmos DB; it fails without. Keys of what else the
# infrastructure has are off, or not missed: azurerm 4.73.
refreshed=(
  Microsoft.App/containerApps/listSecrets/action
  Microsoft.App/jobs/listSecrets/action
  Microsoft.DocumentDB/databaseAccounts/listConnectionStrings/action
  Microsoft.DocumentDB/databaseAccounts/listKeys/action
  Microsoft.DocumentDB/databaseAccounts/readonlykeys/action
)

# define_role NAME DESCRIPTION ACTION…: a role of the subscription's own that allows these actions and no others.
define_role() {
  local name=$1 description=$2 known id actions
  shift 2
  known=$(ask az role definition list --name "$name" --custom-role-only --scope "$scope" --query '[0].permissions[0].actions')
  [ "$known" != "$(printf '%s\n' "$@")" ] || return 0
  actions=$(printf '"%s",' "$@")
  actions="\"description\":\"$description\",\"actions\":[${actions%,}],\"assignableScopes\":[\"$scope\"]"
  if [ -z "$known" ]; then
    change az role definition create --role-definition "{\"name\":\"$name\",$actions}"
  else
    id=$(ask az role definition list --name "$name" --custom-role-only --scope "$scope" --query '[0].id')
    change az role definition update --role-definition "{\"id\":\"$id\",\"roleName\":\"$name\",$actions}"
  fi
}

# make_identity NAME: sets `client_id` and `principal_id`; placeholders in a dry run of what is not there yet.
make_identity() {
  local found
  if [ "$identity" = uami ]; then
    if missing az identity show --resource-group "$state_group" --name "$1"; then
      change az identity create --resource-group "$state_group" --name "$1" --location "$region"
    fi
    found=$(ask az identity show --resource-group "$state_group" --name "$1" --query '[clientId, principalId]' 2>/dev/null || true)
  else
    client_id=$(ask az ad app list --display-name "$1" --query '[0].appId')
    if [ -z "$client_id" ]; then
      change az ad app create --display-name "$1"
      client_id=$(ask az ad app list --display-name "$1" --query '[0].appId')
    fi
    principal_id=$(ask az ad sp list --filter "appId eq '$client_id'" --query '[0].id')
    if [ -z "$principal_id" ]; then
      change az ad sp create --id "${client_id:-id-of-$1}"
      principal_id=$(ask az ad sp list --filter "appId eq '$client_id'" --query '[0].id')
    fi
    found=${client_id:+$client_id$'\n'$principal_id}
  fi
  client_id=id-of-$1 principal_id=principal-of-$1
  [ -z "$found" ] || { read -r client_id && read -r principal_id; } <<<"$found"
}

# trust IDENTITY NAME SUBJECT: lets jobs with that subject sign in as the identity.
trust() {
  say "$1 trusts $3"
  local known
  if [ "$identity" = uami ]; then
    known=$(ask az identity federated-credential list --resource-group "$state_group" --identity-name "$1" --query "[?subject=='$3'].name" 2>/dev/null || true)
    [ -n "$known" ] || change az identity federated-credential create --resource-group "$state_group" --identity-name "$1" \
      --name "$2" --issuer "$issuer" --subject "$3" --audiences "$audience"
  else
    known=$(ask az ad app federated-credential list --id "$client_id" --query "[?subject=='$3'].name" 2>/dev/null || true)
    [ -n "$known" ] || change az ad app federated-credential create --id "$client_id" --parameters \
      "{\"name\":\"$2\",\"issuer\":\"$issuer\",\"subject\":\"$3\",\"audiences\":[\"$audience\"]}"
  fi
}

# grant ROLE SCOPE [CONDITION]: gives the identity made last a role, under this condition and no other.
grant() {
  local role=$1 where=$2 condition=${3:-}
  set --
  [ -z "$condition" ] || set -- --condition "$condition" --condition-version 2.0
  local known
  known=$(ask az role assignment list --assignee "$principal_id" --role "$role" --scope "$where" --query '[].id' 2>/dev/null || true)
  if [ -n "$known" ] && [ -n "$condition" ] &&
    [ "$(ask az role assignment list --assignee "$principal_id" --role "$role" --scope "$where" --query '[0].condition')" != "$condition" ]; then
    change az role assignment delete --ids "$known"
    known=
  fi
  [ -n "$known" ] || change az role assignment create --assignee-object-id "$principal_id" --assignee-principal-type ServicePrincipal \
    --role "$role" --scope "$where" "$@"
}

# First: until Azure knows it everywhere nobody can be given it.
define_role "$read" 'Reads what Terraform reads anew and a Reader may not' "${refreshed[@]}"

make_identity "$plan"
plan_client_id=$client_id
trust "$plan" pull-request "$prefix:pull_request"
grant Reader "$scope"
grant 'Storage Blob Data Reader' "$state"

make_identity "$read"
read_client_id=$client_id
trust "$read" main "$prefix:ref:refs/heads/main"
grant Reader "$scope"
grant "$read" "$scope"
[ -z "$also" ] || grant Reader "$also"
grant 'Storage Blob Data Reader' "$state"

make_identity "$apply"
trust "$apply" "environment-$environment" "$prefix:environment:$environment"
grant Contributor "$scope"
grant 'Role Based Access Control Administrator' "$scope" "$condition"
[ -z "$also" ] || grant 'Role Based Access Control Administrator' "$also" "$condition"
grant 'Storage Blob Data Contributor' "$state"

cat <<END
AZURE_TENANT_ID=$tenant
AZURE_SUBSCRIPTION_ID=$subscription
AZURE_CLIENT_ID=$client_id
AZURE_PLAN_CLIENT_ID=$plan_client_id
AZURE_READ_CLIENT_ID=$read_client_id
END
