#!/usr/bin/env bash
# Plans every stack of one environment, in the order in which they are applied, and prints as Markdown what would change. Terraform's own
# words go to standard error, its plans to FOLDER/STACK: they hold secrets, and are kept nowhere.
#
#   scripts/azure/plan.sh --env prod --plans FOLDER [--client pvc] [--read anew|state] [--only applied] [--changed CODE]
#
# --read state     nothing is asked of Azure but what Terraform looks up: for who may only look (default: anew)
# --only applied   a stack of which nothing was applied, or nothing is left, is passed over: that it is not there is no change
# --changed CODE   ends with this code where something would change
#
# The image is that of TF_VAR_image; where it is not set, in each stack that which was applied there last: a deployment is the pipeline's to say,
# and one that was gone back from is no change.
#
# A stack needs what those before it have made. Where one of them is not there yet it is not planned but told: it is planned by apply.sh,
# once the others are there, and nothing of it may be destroyed then. Before it the stacks are synthesized (npm run synth) and Terraform
# is initialized in each.

. "$(dirname "$0")/common.sh"

plans=
read=anew
only=
changed=0
take plans=plans read=read only=only changed=changed -- "$@"
[ -n "$plans" ] || die '--plans is needed: a folder; see --help'
# Terraform runs elsewhere.
plans=$(cd "$plans" && pwd)
options=(-lock=false)
case $read in
  anew) ;;
  state) options+=(-refresh=false) ;;
  *) die '--read is anew or state; see --help' ;;
esac
[[ $only =~ ^(applied)?$ ]] || die '--only is applied; see --help'
all=$(stacks)

# applied_image DIRECTORY: what runs there by Terraform's own word; where nothing does yet, the form of an image, which plans ask for. Terraform
# then prints a warning in place of the output, and ends well.
applied_image() {
  local image
  image=$(terraform -chdir="$1" output -raw applied_image 2>/dev/null || true)
  [[ $image =~ ^[^[:space:]]+@sha256:[0-9a-f]{64}$ ]] || printf -v image 'none.invalid/none@sha256:%064d' 0
  printf '%s\n' "$image"
}

code=0
awaited=
while read -r stack region group app _ <&3; do
  directory=$(directory_of "$stack")
  if [ "$only" = applied ]; then
    outputs=$(terraform -chdir="$directory" output -json)
    [ "$outputs" != '{}' ] || continue
  fi
  if [ -n "$awaited" ]; then
    printf '## %s: made once %s is there\n\n' "$stack" "$awaited"
    code=$changed
    continue
  fi
  image=${TF_VAR_image:-$(applied_image "$directory")}
  TF_VAR_image=$image terraform -chdir="$directory" plan "${options[@]}" -out="$plans/$stack" >&2
  summary=$(terraform -chdir="$directory" show -json "$plans/$stack" | typescript scripts/azure/plan-summary.ts "$stack")
  printf '%s\n\n' "$summary"
  case $summary in "## $stack: 0 changes"*) ;; *) code=$changed ;; esac
  if [ "$region" != - ] && missing az containerapp show --resource-group "$group" --name "$app"; then awaited=$stack; fi
done 3<<<"$all"
exit "$code"
