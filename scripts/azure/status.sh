#!/usr/bin/env bash
# What runs of one environment, in each of its regions: whether the last change has come through, the revisions with their share of the
# calls, and the last lines of the log of the newest.
#
#   scripts/azure/status.sh --env dev
#   scripts/azure/status.sh --env dev --lines 300     so many lines of each log, 20 unless said; 0 shows none
#
# --client pvc

. "$(dirname "$0")/common.sh"

lines=20
take lines=lines -- "$@"
[[ $lines =~ ^([0-9]|[1-9][0-9]|[12][0-9][0-9]|300)$ ]] || die '--lines is 0 to 300; see --help'

all=$(stacks)
while read -r _ region group app _ <&3; do
  [ "$region" != - ] || continue
  of=(--resource-group "$group" --name "$app")
  if missing az containerapp show "${of[@]}"; then
    printf '%s %s: not there\n' "$region" "$app"
    continue
  fi
  printf '%s %s: %s\n' "$region" "$app" "$(ask az containerapp show "${of[@]}" --query properties.provisioningState)"
  revisions=$(ask az containerapp revision list "${of[@]}" \
    --query '[?properties.active].[name, to_string(properties.trafficWeight), properties.runningState, to_string(properties.replicas)]')
  while read -r revision weight running replicas <&4; do
    printf '  %s: %s percent of the calls, %s, %s replicas\n' "$revision" "$weight" "$running" "$replicas"
  done 4<<<"$revisions"
  [ "$lines" -gt 0 ] || continue
  newest=$(ask az containerapp show "${of[@]}" --query properties.latestRevisionName)
  # There is no log of a revision without a replica.
  az containerapp logs show "${of[@]}" --revision "$newest" --type console --format text --tail "$lines" ||
    say "Azure shows no log of $newest now."
done 3<<<"$all"
