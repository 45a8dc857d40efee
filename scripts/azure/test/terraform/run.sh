#!/usr/bin/env bash
# Plans, applies and takes down one environment by the scripts of this folder with a real Terraform, without Azure: its stack has no provider. What was just applied leaves nothing to
# plan, and what is not there is no change. Needs terraform, and the packages of the project and of cdktf.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CHECKPOINT_DISABLE=1 TF_INPUT=false

# The project with a stack of its own in place of what is synthesized, and an Azure CLI whose apps are all there.
mkdir -p "$work/scripts/azure" "$work/cdktf/cdktf.out/stacks/pvc-dev" "$work/bin" "$work/plans"
cp "$root"/scripts/azure/*.sh "$root"/scripts/azure/*.ts "$work/scripts/azure/"
ln -s "$root/node_modules" "$work/node_modules"
for part in src clients node_modules package.json; do ln -s "$root/cdktf/$part" "$work/cdktf/$part"; done
printf '#!/bin/sh\necho there\n' >"$work/bin/az"
chmod +x "$work/bin/az"
PATH=$work/bin:$PATH
stack=$work/cdktf/cdktf.out/stacks/pvc-dev
cat >"$stack/cdk.tf.json" <<'JSON'
{
  "terraform": { "backend": { "local": {} } },
  "variable": { "image": { "type": "string" } },
  "resource": { "terraform_data": { "app": { "input": "${var.image}" } } },
  "output": { "applied_image": { "value": "${var.image}" }, "url": { "value": "https://app.example" } }
}
JSON
terraform -chdir="$stack" init >/dev/null

# planned CODE HEADING OPTIONS…: plan.sh ends with that code, and says that.
planned() {
  local code=0 summary
  summary=$("$work/scripts/azure/plan.sh" --env dev --plans "$work/plans" --changed 2 "${@:3}" 2>"$work/told") || code=$?
  if [ "$code" != "$1" ] || [ "$(head -n 1 <<<"$summary")" != "$2" ]; then
    cat "$work/told" >&2
    printf 'plan.sh %s: code %s in place of %s, and says\n%s\n' "${*:3}" "$code" "$1" "$summary" >&2
    exit 1
  fi
}

image() { printf 'example/gateway@sha256:%064d' "$1"; }

planned 0 '' --only applied
TF_VAR_image=$(image 1) planned 2 '## pvc-dev: 1 change'
"$work/scripts/azure/apply.sh" --env dev --plans "$work/plans" --of regions 2>&1 | grep -qx 'https://app.example'
[ "$(terraform -chdir="$stack" output -raw applied_image)" = "$(image 1)" ]
# Once more, and by whoever brings no image.
TF_VAR_image=$(image 1) planned 0 '## pvc-dev: 0 changes'
planned 0 '## pvc-dev: 0 changes'
planned 0 '## pvc-dev: 0 changes' --only applied --read state
TF_VAR_image=$(image 2) planned 2 '## pvc-dev: 1 change'
TF_VAR_image=$(image 1) terraform -chdir="$stack" destroy -auto-approve >/dev/null
planned 0 '' --only applied
planned 2 '## pvc-dev: 1 change'
echo 'plan.sh and apply.sh agree with Terraform'
