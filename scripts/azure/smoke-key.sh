#!/usr/bin/env bash
# Prints a gateway's key that the smoke of one environment uses, from the environment's Key Vault; nothing where there is none. For a
# pipeline that masks it.
#
#   scripts/azure/smoke-key.sh --env dev --key SMOKE_KEY [--client pvc]             a key of every model; that of callers, where there is one key
#   scripts/azure/smoke-key.sh --env dev --key SMOKE_LIMITED_KEY [--client pvc]     one of few calls a minute

. "$(dirname "$0")/common.sh"

key=
take key=key -- "$@"
case $key in
  SMOKE_KEY) names=(smoke-key proxy-api-key) ;;
  SMOKE_LIMITED_KEY) names=(smoke-limited-key) ;;
  *) die '--key is SMOKE_KEY or SMOKE_LIMITED_KEY; see --help' ;;
esac
vault=$(name_of kv)
for name in "${names[@]}"; do
  if present az keyvault secret show --vault-name "$vault" --name "$name" --query value; then exit 0; fi
done
