#!/usr/bin/env bash
# Which revision of the proxy gets the calls of one environment, in all its regions or one of them.
#
#   scripts/azure/traffic.sh --env dev --to present    all calls to the revision that has them, whatever comes: before a new one is made.
#                                                      Older ones are stopped
#   scripts/azure/traffic.sh --env dev --to green      the newest revision gets the label "green" and with it an address of its own. Prints
#                                                      for each region its name, its address and that of the newest revision
#   scripts/azure/traffic.sh --env dev --to 10         percent of the calls to the newest revision, the rest to the one before
#   scripts/azure/traffic.sh --env dev --to back       all calls to the one before again
#   scripts/azure/traffic.sh --env dev --to image      prints the image of the revision that has the calls in the first region
#
# --region westeurope, --client pvc, --dry-run

. "$(dirname "$0")/common.sh"

to=
only=
take to=to region=only -- "$@"

# The revision that the label "blue" stands on is the one before; it is put there as long as that revision alone has the calls.
labelled() {
  ask az containerapp ingress traffic show --resource-group "$group" --name "$app" --query "[?label=='$1'].revisionName | [0]"
}

newest() {
  ask az containerapp show --resource-group "$group" --name "$app" --query properties.latestRevisionName
}

# weigh REVISION PERCENT…: these and no other revisions get calls.
weigh() {
  local weights=()
  while [ $# -gt 0 ]; do
    weights+=("$1=$2")
    shift 2
  done
  change az containerapp ingress traffic set --resource-group "$group" --name "$app" --revision-weight "${weights[@]}"
}

# shift_calls: does it in the region of `group` and `app`.
shift_calls() {
  local present newest others revision host before
  case $to in
    present)
      # An app that is not there yet has nothing to keep.
      if missing az containerapp show --resource-group "$group" --name "$app"; then return; fi
      present=$(ask az containerapp ingress traffic show --resource-group "$group" --name "$app" --query "[?weight==\`100\`].[latestRevision && 'latest' || revisionName] | [0]")
      [ -n "$present" ] || die "The calls are divided in $region: a deployment was broken off. Run --to back, then deploy again."
      [ "$present" != latest ] || present=$(newest)
      weigh "$present" 100
      change az containerapp revision label add --resource-group "$group" --name "$app" --label blue --revision "$present" --yes
      # Without calls they keep their replicas all the same. The newest stays: deployed once more, it may be what is to be tried.
      newest=$(newest)
      others=$(ask az containerapp revision list --resource-group "$group" --name "$app" \
        --query "[?properties.active && name!='$present' && name!='$newest'].name")
      for revision in $others; do
        change az containerapp revision deactivate --resource-group "$group" --name "$app" --revision "$revision"
      done
      ;;
    green)
      revision=$(newest)
      before=$(labelled blue)
      host=$(ask az containerapp show --resource-group "$group" --name "$app" --query properties.configuration.ingress.fqdn)
      if [ "$revision" = "$before" ]; then
        # Nothing of the app has changed, so there is no newer one.
        printf '%s https://%s https://%s\n' "$region" "$host" "$host"
      else
        change az containerapp revision label add --resource-group "$group" --name "$app" --label green --revision "$revision" --yes
        printf '%s https://%s https://%s---green.%s\n' "$region" "$host" "${host%%.*}" "${host#*.}"
      fi
      ;;
    image)
      # What is not there yet has none; its plan wants the form of one.
      if missing az containerapp show --resource-group "$group" --name "$app"; then
        printf 'none.invalid/none@sha256:%064d\n' 0
      else
        ask az containerapp revision list --resource-group "$group" --name "$app" --query "max_by([?properties.trafficWeight > \`0\`], &properties.trafficWeight).properties.template.containers[0].image"
      fi
      ;;
    back)
      if missing az containerapp show --resource-group "$group" --name "$app"; then return; fi
      before=$(labelled blue)
      [ -n "$before" ] || die "No revision is known to go back to in $region: az containerapp revision list shows them all."
      weigh "$before" 100
      ;;
    *)
      before=$(labelled blue)
      revision=$(newest)
      if [ -z "$before" ] || [ "$before" = "$revision" ] || [ "$to" = 100 ]; then
        weigh "$revision" 100
      else
        weigh "$before" $((100 - to)) "$revision" "$to"
      fi
      ;;
  esac
}

case $to in
  present | green | back | image | [0-9] | [0-9][0-9] | 100) ;;
  *) die '--to is present, green, a percentage, back or image; see --help' ;;
esac
all=$(stacks)
chosen=0
failed=0
while read -r _ region group app _ <&3; do
  [ "$region" != - ] || continue
  [ "${only:-$region}" = "$region" ] || continue
  chosen=$((chosen + 1))
  if [ "$to" = back ]; then
    # What cannot be done in one region must not keep the others where they are. In a process of its own, so that a failure ends that.
    (shift_calls) &
    wait $! || failed=1
  else
    shift_calls
  fi
  [ "$to" != image ] || break
done 3<<<"$all"
[ "$chosen" -gt 0 ] || die "--region $only is none of the environment's"
exit "$failed"
