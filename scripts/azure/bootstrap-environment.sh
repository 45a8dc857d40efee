#!/usr/bin/env bash
# Makes a GitHub environment: who must approve what is deployed there, from which branch, and the variables that workflows read,
# which come as NAME=VALUE lines on standard input. They become variables of the repository, with the environment in front
# (STAGING_AZURE_CLIENT_ID): what only reads an environment must not wait for its reviewers. CLIENT, which workflows read as well, is the
# same for all environments.
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
alone=false
[ "$environment" != prod ] || alone=true
protection+=(-F "prevent_self_review=$alone")

# Who approves, whether nobody approves a change of their own, and whether branches are those that are named.
# shellcheck disable=SC2016 # the variable is jq's
is=$(gh api "$here" --jq '[.protection_rules[]? | select(.type == "required_reviewers")] as $rules
  | "there \([$rules[].reviewers[].reviewer.id | tostring] | join(",")) \(any($rules[]; .prevent_self_review == true)) \(.deployment_branch_policy.custom_branch_policies == true)"' 2>/dev/null || true)
[ "$is" = "there $wanted $alone true" ] || change gh api --method PUT "$here" "${protection[@]}"

branches=$(gh api "$here/deployment-branch-policies" --jq '.branch_policies[] | "\(.id) \(.name)"' 2>/dev/null || true)
grep -q ' main$' <<<"$branches" || change gh api --method POST "$here/deployment-branch-policies" -f name=main
while read -r id name; do
  [ "${name:-main}" = main ] || change gh api --method DELETE "$here/deployment-branch-policies/$id"
done <<<"$branches"

known=$(gh variable list --repo "$repo" --json name,value --jq '.[] | "\(.name)=\(.value)"')
# set_variable LINE: NAME=VALUE, where it is not so yet.
set_variable() {
  grep -qxF "$1" <<<"$known" || change gh variable set "${1%%=*}" --repo "$repo" --body "${1#*=}"
}

set_variable "CLIENT=$client"
while IFS= read -r line; do
  [[ $line =~ ^[A-Z_]+=[A-Za-z0-9_.-]+$ ]] || die "not NAME=VALUE with an id or a name as the value: ${line%%=*}"
  set_variable "${environment^^}_$line"
done
