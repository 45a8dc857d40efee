#!/usr/bin/env bash
# Prints a gateway's key that the smoke of one environment uses, from the environment's Key Vault; nothing where there is none. For a
# pipeline that masks it.
#
#   scripts/azure/smoke-key.sh --env dev --key SMOKE_KEY [--client pvc]             a key of every model
#   scripts/azure/smoke-key.sh --env dev --key SMOKE_LIMITED_KEY [--client pvc]     one of few calls a minute

. "$(dirname "$0")/common.sh"

key=
take key=key -- "$@"
[ "$key" = SMOKE_KEY ] || [ "$key" = SMOKE_LIMITED_KEY ] || die '--key is SMOKE_KEY or SMOKE_LIMITED_KEY; see --help'
secret=${key,,}
vault=$(name_of kv)
if missing az keyvault secret show --vault-name "$vault" --name "${secret//_/-}"; then exit 0; fi
ask az keyvault secret show --vault-name "$vault" --name "${secret//_/-}" --query value
