#!/usr/bin/env bash
# Gives one secret of an environment a new value, the same in the Key Vaults of all its regions. Values are never printed, nor arguments
# of a program that others on the machine could list.
#
#   scripts/azure/rotate.sh --env dev --secret azure-openai-api-key --group GROUP --account ACCOUNT [--client pvc] [--dry-run]
#   scripts/azure/rotate.sh --env dev --secret proxy-api-key | master-key | aigateway-secret | salt-key | salt-key-previous | smoke-key | smoke-limited-key
#
# azure-openai-api-key   the key of the Azure OpenAI account that is not in use is made anew and put in force; the one that was in
#                        use stays valid until the next rotation, so no call fails meanwhile
# proxy-api-key          the key of callers
# master-key             the administrator's key of the gateway
# aigateway-secret       what the gateway signs with; the value before goes to aigateway-secret-previous and is accepted beside it, until the
#                        next rotation
# salt-key               what seals the store; those before stay in salt-key-previous. Afterwards reseal.sh
#
# These two in two steps 45 minutes apart, each this same call: processes get a new value at different times, so that all learn to accept it
# first, from NAME-previous, and only then some begin to use it. With --announce no at once, for one that has leaked: until every process has
# the new one, within half an hour or after the next deployment, those that have it and those that do not take nothing from each other;
# what a leaked aigateway-secret vouched for is then unknown.
#
# salt-key-previous      takes earlier salt keys away, once reseal.sh has succeeded
#
# smoke-key              a key of the smoke, where a control plane gives keys out: make-smoke-keys.sh tells the gateway, in every deployment. End
# smoke-limited-key      the one before with /manage/keys/revoke
#
# A secret that is not there yet is made.

. "$(dirname "$0")/common.sh"

secret=
group=
account=
announce=yes
take secret=secret group=group account=account announce=announce -- "$@"
[ "$announce" = yes ] || [ "$announce" = no ] || die '--announce is yes or no; see --help'
# The first region's is the one that is read.
vaults=$(stacks | while read -r _ _ _ _ vault; do [ "$vault" = - ] || printf '%s\n' "$vault"; done)
vault=${vaults%%$'\n'*}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 700 "$folder"

# current NAME: the value in force goes to a file of the folder; false where there is none. A vault that does not answer ends the script:
# what is there would be lost.
current() { present az keyvault secret show --vault-name "$vault" --name "$1" --query value >"$folder/$1"; }

# put NAME FILE [OPTIONS…]: makes what stands in the file the value of the secret.
put() {
  local one
  for one in $vaults; do
    change az keyvault secret set --vault-name "$one" --name "$1" --encoding utf-8 --file "$2" "${@:3}"
    say "$1 of $one has a new version"
  done
}

restarts='Container Apps starts processes again with it within half an hour; a new revision has it at once.'

random() { openssl rand -hex 32 | tr -d '\n'; }

case $secret in
  azure-openai-api-key)
    [ -n "$group" ] && [ -n "$account" ] || die '--group and --account of the Azure OpenAI account are needed'
    next=key1
    if current "$secret"; then
      az cognitiveservices account keys list --resource-group "$group" --name "$account" --query key1 --output tsv >"$folder/key1"
      if cmp -s "$folder/$secret" "$folder/key1"; then next=key2; fi
    fi
    change az cognitiveservices account keys regenerate --resource-group "$group" --name "$account" --key-name "$next"
    az cognitiveservices account keys list --resource-group "$group" --name "$account" --query "$next" --output tsv | tr -d '\n' >"$folder/next"
    put "$secret" "$folder/next"
    say 'Gateways that read it from the vault use it within five minutes; nothing need be restarted.'
    ;;
  proxy-api-key | master-key | smoke-key | smoke-limited-key)
    { printf 'sk-' && random; } >"$folder/next"
    put "$secret" "$folder/next"
    case $secret in smoke-*) ;; *) say "$restarts" ;; esac
    ;;
  aigateway-secret | salt-key)
    if ! current "$secret"; then
      random >"$folder/next"
      # Apps name both, and do not start while one is missing.
      put "$secret-previous" "$folder/next"
      put "$secret" "$folder/next"
      exit 0
    fi
    current "$secret-previous" || cp "$folder/$secret" "$folder/$secret-previous"
    present_one=$(cat "$folder/$secret")
    if [ "$announce" = no ]; then
      random >"$folder/next"
      # What was sealed with a salt key that has leaked must still be opened, to be sealed anew.
      if [ "$secret" = salt-key ]; then printf '%s %s' "$present_one" "$(cat "$folder/$secret-previous")"; else cat "$folder/next"; fi >"$folder/previous"
      put "$secret" "$folder/next"
      put "$secret-previous" "$folder/previous" --tags announced=false
    elif [ "$(ask az keyvault secret show --vault-name "$vault" --name "$secret-previous" --query tags.announced)" != true ]; then
      random >"$folder/next"
      # Of the gateway's own secret one besides the present one is accepted, of salt keys all.
      [ "$secret" = aigateway-secret ] || printf ' %s %s' "$present_one" "$(cat "$folder/$secret-previous")" >>"$folder/next"
      put "$secret-previous" "$folder/next" --tags announced=true
      say "In 45 minutes every process accepts a new $secret: run this once more then, and it is put in force."
    else
      settled "$vault" "$secret-previous"
      read -r announced earlier <"$folder/$secret-previous"
      printf %s "$announced" >"$folder/next"
      printf %s "${earlier:-$present_one}" >"$folder/previous"
      put "$secret" "$folder/next"
      put "$secret-previous" "$folder/previous" --tags announced=false
      [ "$secret" = aigateway-secret ] || say 'In 45 minutes every process seals with it: run scripts/azure/reseal.sh then.'
    fi
    ;;
  salt-key-previous)
    current salt-key || die 'There is no salt-key'
    settled "$vault" salt-key
    tr -d '\n' <"$folder/salt-key" >"$folder/next"
    put salt-key-previous "$folder/next" --tags announced=false
    ;;
  *) die '--secret is none that this script knows; see --help' ;;
esac
