#!/usr/bin/env bash
# Applies the stacks of one environment in their order, each as plan.sh has planned it, and prints the address of each. One that could not
# be planned before, because those before it were not there, is planned now; where that would destroy something it ends there.
#
#   scripts/azure/apply.sh --env prod --plans FOLDER --of regions | front-door [--client pvc] [--dry-run]

. "$(dirname "$0")/common.sh"

plans=
of=
take plans=plans of=of -- "$@"
[ -n "$plans" ] || die '--plans is needed: the folder that plan.sh filled; see --help'
plans=$(cd "$plans" && pwd)
[ "$of" = regions ] || [ "$of" = front-door ] || die '--of is regions or front-door; see --help'
all=$(stacks)

while read -r stack region _ <&3; do
  case $of-$region in
    regions-- | front-door-[!-]*) continue ;;
  esac
  directory=$(directory_of "$stack")
  if [ ! -e "$plans/$stack" ]; then
    terraform -chdir="$directory" plan -out="$plans/$stack" >&2
    terraform -chdir="$directory" show -json "$plans/$stack" | typescript scripts/azure/plan-summary.ts "$stack" --without-loss >&2
  fi
  change terraform -chdir="$directory" apply "$plans/$stack"
  [ "$dry_run" = true ] || printf '%s\n' "$(terraform -chdir="$directory" output -raw url)"
done 3<<<"$all"
