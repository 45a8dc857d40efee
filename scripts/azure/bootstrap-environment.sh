#!/usr/bin/env bash
# Makes a GitHub environment: who must approve what is deployed there, from which branch, and the variables that workflows read,
# which come as NAME=VALUE lines on standard input. They become variables of the repository, with the environment in front
# (STAGING_AZURE_CLIENT_ID): what only reads an environment must not wait for its reviewers.
#
#   scripts/azure/bootstrap-oidc.sh --env staging --repo OWNER/NAME |
#     scripts/azure/bootstrap-environment.sh --env staging --repo OWNER/NAME --reviewer LOGIN-or-ORG/TEAM [--dry-run]
#
# Everything but dev needs a reviewer. Run it again at any time: it sets what differs.

. "$(dirname "$0")/common.sh"

repo=
reviewer=
take repo=repo reviewer=reviewer -- "$@"
[[ $repo == */* ]] || die '--repo is needed: OWNER/NAME; see --help'
[ "$environment" = dev ] || [ -n "$reviewer" ] || die "--reviewer is needed: nothing goes to $environment unless somebody approves it"

here="repos/$repo/environments/$environment"
protection=(-F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true')
wanted=
if [ -n "$reviewer" ]; then
  kind=User who="users/$reviewer"
  [[ $reviewer != */* ]] || { kind=Team who="orgs/${reviewer%%/*}/teams/${reviewer#*/}"; }
  wanted=$(gh api "$who" --jq .id)
  protection+=(-F "reviewers[][type]=$kind" -F "reviewers[][id]=$wanted")
fi
# Nobody approves a change of their own for those who depend on it.
[ "$environment" != prod ] || protection+=(-F prevent_self_review=true)

present=$(gh api "$here" --jq '"there " + ([.protection_rules[]? | select(.type == "required_reviewers") | .reviewers[].reviewer.id | tostring] | join(","))' 2>/dev/null || true)
[ "$present" = "there $wanted" ] || change gh api --method PUT "$here" "${protection[@]}"

branches=$(gh api "$here/deployment-branch-policies" --jq '.branch_policies[].name' 2>/dev/null || true)
grep -qx main <<<"$branches" || change gh api --method POST "$here/deployment-branch-policies" -f name=main

known=$(gh variable list --repo "$repo" --json name,value --jq '.[] | "\(.name)=\(.value)"')
while IFS= read -r line; do
  [[ $line =~ ^[A-Z_]+=[A-Za-z0-9_.-]+$ ]] || die "not NAME=VALUE with an id or a name as the value: ${line%%=*}"
  line="${environment^^}_$line"
  grep -qxF "$line" <<<"$known" || change gh variable set "${line%%=*}" --repo "$repo" --body "${line#*=}"
done
