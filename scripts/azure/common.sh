# shellcheck shell=bash
# What the scripts of this folder share: sourced, never run. Each of them changes only what is not yet as it should be, and with
# --dry-run prints the calls that would change something instead of making them; calls that only read are made either way.

set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
client=pvc
environment=
dry_run=false

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# take NAME=VARIABLE… -- ARGUMENTS…: reads --NAME VALUE into VARIABLE; --client, --env, --dry-run and --help are every script's.
# A script's help is the comment that it begins with.
take() {
  local -A variables=([client]=client [env]=environment)
  while [ "$1" != -- ]; do
    variables[${1%%=*}]=${1#*=}
    shift
  done
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
      --dry-run)
        dry_run=true
        shift
        continue
        ;;
    esac
    local name=${1#--}
    [ "$name" != "$1" ] && [ -n "${variables[$name]:-}" ] || die "no option is called $1; see --help"
    [ $# -ge 2 ] || die "$1 needs a value; see --help"
    printf -v "${variables[$name]}" '%s' "$2"
    shift 2
  done
  [ -n "$environment" ] || die '--env is needed: dev, staging or prod; see --help'
}

# change COMMAND…: a call that changes something. What it prints may be a secret, and nothing of it is shown.
change() {
  if [ "$dry_run" = true ]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@" >/dev/null
  fi
}

# ask COMMAND…: what Azure says, as text; nothing where there is nothing.
ask() { "$@" --output tsv; }

# present COMMAND…: what `az … show` says of a thing, as text; false where it is not there. Azure CLI says so with exit code 3, its commands
# for Container Apps with 1 and Azure's own word; any other failure (no rights, no network) ends the script, and is no reason to create anything.
present() {
  local code=0 told
  { told=$(ask "$@" 2>&1 >&3) || code=$?; } 3>&1
  case "$code $told" in
    '0 '*) return 0 ;;
    '3 '* | *'(ResourceNotFound)'* | *'(ResourceGroupNotFound)'*) return 1 ;;
    *)
      say "$told"
      die "Azure did not say whether it is there: $(printf '%q ' "$@")"
      ;;
  esac
}

# missing COMMAND…: whether the thing that `az … show` asks for is not there.
missing() { ! present "$@" >/dev/null; }

# typescript FILE ARGUMENTS…: runs a program of the project by its own Node, where that is installed: the system's may be too old.
typescript() {
  local node=$project/node_modules/.bin/node
  [ -x "$node" ] || node=node
  "$node" "$project/$1" "${@:2}"
}

# settled VAULT SECRET: ends the script while some process may not have the newest version of a secret yet: Container Apps looks for one
# every half hour, and then starts processes again.
settled() {
  local updated age
  updated=$(ask az keyvault secret show --vault-name "$1" --name "$2" --query attributes.updated)
  age=$(($(date +%s) - $(date --date "$updated" +%s)))
  [ "$age" -ge 2700 ] || die "$2 was changed $((age / 60)) minutes ago, and a process may not know it yet: run this again in $((45 - age / 60)) minutes."
}

# run_job GROUP JOB CONTAINER: starts a job of Container Apps and waits for its end.
run_job() {
  if [ "$dry_run" = true ]; then
    change az containerapp job start --resource-group "$1" --name "$2"
    return
  fi
  local execution status
  execution=$(ask az containerapp job start --resource-group "$1" --name "$2" --query name)
  # The job itself ends after half an hour, and is tried once more.
  for _ in $(seq 720); do
    status=$(ask az containerapp job execution show --resource-group "$1" --name "$2" --job-execution-name "$execution" --query properties.status)
    case $status in
      Succeeded)
        say "$execution has succeeded"
        return
        ;;
      Failed | Stopped | Degraded) die "$execution: $status. Its log, with the extension containerapp (az extension add --name containerapp): az containerapp job logs show --resource-group $1 --name $2 --execution $execution --container $3" ;;
    esac
    sleep "${JOB_POLL_SECONDS:-5}"
  done
  die "$execution has not ended"
}

# name_of TYPE…: the name of this client's resource of that type in this environment, as the infrastructure has it; a line for each.
name_of() { typescript cdktf/src/names.ts --client "$client" --env "$environment" "${@/#/--type=}"; }

# stacks: a line for each stack of the environment, in the order in which they are applied: its name, its region, and there the resource
# group, the app of the proxies and the vault; "-" where it is of no region.
stacks() { typescript cdktf/src/environment-stacks.ts --client "$client" --env "$environment"; }

# directory_of STACK: where Terraform runs, once the stacks are synthesized.
directory_of() { printf '%s\n' "$project/cdktf/cdktf.out/stacks/$1"; }

# signed_in: sets `subscription` and `tenant`, those that Azure CLI is signed in to.
signed_in() {
  local account
  account=$(ask az account show --query '[id, tenantId]') || die 'Sign in first: az login, az account set --subscription …'
  # shellcheck disable=SC2034 # for the scripts that source this
  { read -r subscription && read -r tenant; } <<<"$account"
  say "Subscription $subscription, tenant $tenant"
}
