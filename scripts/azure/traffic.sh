#!/usr/bin/env bash
# Which revision of the proxy gets the calls of one environment.
#
#   scripts/azure/traffic.sh --env dev --to present    all calls to the revision that has them, whatever comes: before a new one is made.
#                                                      Older ones are stopped
#   scripts/azure/traffic.sh --env dev --to green      the newest revision gets the label "green" and with it an address of its own
#   scripts/azure/traffic.sh --env dev --to 10         percent of the calls to the newest revision, the rest to the one before
#   scripts/azure/traffic.sh --env dev --to back       all calls to the one before again
#   scripts/azure/traffic.sh --env dev --to image      prints the image of the revision that has the calls
#
# Prints url=… of the environment and green=… of the newest revision. --client pvc, --dry-run

. "$(dirname "$0")/common.sh"

to=
take to=to -- "$@"
group=$(name_of rg)
app=$(name_of ca)

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

case $to in
  present)
    # An app that is not there yet has nothing to keep.
    if missing az containerapp show --resource-group "$group" --name "$app"; then exit 0; fi
    present=$(ask az containerapp ingress traffic show --resource-group "$group" --name "$app" --query "[?weight==\`100\`].[latestRevision && 'latest' || revisionName] | [0]")
    [ -n "$present" ] || die 'The calls are divided: a deployment was broken off. Run --to back, then deploy again.'
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
    if [ "$revision" != "$(labelled blue)" ]; then
      change az containerapp revision label add --resource-group "$group" --name "$app" --label green --revision "$revision" --yes
    fi
    host=$(ask az containerapp show --resource-group "$group" --name "$app" --query properties.configuration.ingress.fqdn)
    printf 'url=https://%s\n' "$host"
    if [ "$revision" = "$(labelled blue)" ]; then
      # Nothing of the app has changed, so there is no newer one.
      printf 'green=https://%s\n' "$host"
    else
      printf 'green=https://%s---green.%s\n' "${host%%.*}" "${host#*.}"
    fi
    ;;
  image)
    # What is not there yet has none; its plan wants the form of one.
    if missing az containerapp show --resource-group "$group" --name "$app"; then
      printf 'none.invalid/none@sha256:%064d\n' 0
      exit 0
    fi
    ask az containerapp revision list --resource-group "$group" --name "$app" --query "max_by([?properties.trafficWeight > \`0\`], &properties.trafficWeight).properties.template.containers[0].image"
    ;;
  back)
    before=$(labelled blue)
    [ -n "$before" ] || die 'No revision is known to go back to: az containerapp revision list shows them all.'
    weigh "$before" 100
    ;;
  [0-9] | [0-9][0-9] | 100)
    before=$(labelled blue)
    revision=$(newest)
    if [ -z "$before" ] || [ "$before" = "$revision" ] || [ "$to" = 100 ]; then
      weigh "$revision" 100
    else
      weigh "$before" $((100 - to)) "$revision" "$to"
    fi
    ;;
  *) die '--to is present, green, a percentage, back or image; see --help' ;;
esac
