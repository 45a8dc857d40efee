#!/usr/bin/env bash
# Makes the keys that the smoke of one environment uses, smoke-key and smoke-limited-key of the environment's Key Vault (rotate.sh), where
# the gateway does not take them yet: by its management API, as the administrator. Nothing is done where no control plane gives keys out.
# Values are never printed, nor arguments of a program that others on the machine could list.
#
#   scripts/azure/make-smoke-keys.sh --env dev --url https://… [--client pvc] [--dry-run]

. "$(dirname "$0")/common.sh"

url=
take url=url -- "$@"
[ -n "$url" ] || die '--url is needed: where the gateway answers; see --help'
vault=$(name_of kv)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 700 "$folder"

# header_of SECRET: its value goes to a file of the folder, as a header; false where the vault has none.
header_of() {
  present az keyvault secret show --vault-name "$vault" --name "$1" --query value >"$folder/value" || return 1
  { printf 'authorization: Bearer ' && cat "$folder/value"; } >"$folder/$1"
}

# gateway SECRET PATH [OPTIONS…]: the status with which the gateway answers. A revision that has just been made may need its time.
gateway() {
  curl --silent --show-error --max-time 30 --retry 30 --retry-delay 3 --retry-all-errors --output /dev/null --write-out '%{http_code}' \
    --header "@$folder/$1" "${@:3}" "${url%/}$2"
}

if ! header_of master-key; then exit 0; fi
for name in smoke-key smoke-limited-key; do
  if ! header_of "$name"; then
    say "$vault has no $name: scripts/azure/rotate.sh --secret $name"
    continue
  fi
  status=$(gateway "$name" /v1/models)
  case $status in
    200) continue ;;
    401) ;;
    *) die "The gateway answers $status when it is asked with $name" ;;
  esac
  # More than one may have been made, of which the others are to be ended: each has a name of its own, which tells nothing of it.
  alias=$name-$(sha256sum <"$folder/value" | cut -c 1-8)
  limit=
  [ "$name" = smoke-key ] || limit=', "rpm_limit": 3'
  printf '{"key_alias": "%s", "key": "%s"%s}' "$alias" "$(cat "$folder/value")" "$limit" >"$folder/body"
  making=(--header 'content-type: application/json' --data "@$folder/body")
  if [ "$dry_run" = true ]; then
    change curl --header "@$folder/master-key" "${making[@]}" "${url%/}/key/generate"
    continue
  fi
  status=$(gateway master-key /key/generate "${making[@]}")
  [ "$status" = 200 ] || die "The gateway answers $status to /key/generate: make $name where administrators reach it"
  # Other proxies than the one that was asked hear of it within a second.
  for _ in 1 2 3 4 5; do
    status=$(gateway "$name" /v1/models)
    [ "$status" = 401 ] || break
    sleep 1
  done
  [ "$status" = 200 ] || die "$name was made, and the gateway answers $status when it is asked with it"
  say "$alias was made"
done
