#!/usr/bin/env bash
# Installs the chart in the cluster that kubectl is at, and tries it: helm test and the smoke, then an upgrade and a rollback, each with
# the smoke of what serves then. The cluster has the images aigateway:aaaaaaa, aigateway:bbbbbbb (their REVISION is their tag) and
# aigateway-simulator:ci; k6 is there (npm run tools -- helm k6). For an empty cluster that is thrown away: nothing is taken down.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
chart=$root/charts/aigateway
# The pinned one; HELM names another.
helm=${HELM:-$(cd "$root" && node --eval "import('./scripts/tools.ts').then(({ toolPath }) => console.log(toolPath('helm')))")}

random() { openssl rand -hex 24; }
caller=sk-$(random) limited=sk-$(random) master=sk-$(random) password=$(random)

# forward COMPONENT PORT: its Service on this machine, until it is forwarded anew.
forward() {
  unforward
  kubectl --namespace ai port-forward "service/gateway-aigateway-$1" "$2:80" >/dev/null &
  forwarding=$!
  curl --silent --show-error --fail --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors \
    "http://127.0.0.1:$2/health/liveliness"
}

unforward() {
  [ -n "${forwarding:-}" ] || return 0
  kill "$forwarding" 2>/dev/null || true
  wait "$forwarding" 2>/dev/null || true
  forwarding=
}
trap unforward EXIT

# smoke REVISION: what serves must be of it.
smoke() {
  forward proxy 8080
  SMOKE_KEY=$caller SMOKE_LIMITED_KEY=$limited npm --prefix "$root" run smoke -- --env kind --revision "$1"
  unforward
}

proxies() { kubectl --namespace ai get pods --selector app.kubernetes.io/component=proxy --output name; }

# gone POD…: waits until pods have come to their end, for a forwarded Service may still lead to one that stops.
gone() {
  local tries=120
  while [ -n "$(kubectl --namespace ai get "$@" --ignore-not-found --output name)" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "still there: $*" >&2 && return 1; }
    sleep 1
  done
}

# generate JSON: a key of the gateway.
generate() {
  curl --silent --show-error --fail --output /dev/null --header "authorization: Bearer $master" \
    --header 'content-type: application/json' --data "$1" http://127.0.0.1:4000/key/generate
}

kubectl create namespace stores
kubectl --namespace stores create secret generic postgres --from-literal=password="$password"
kubectl --namespace stores apply --filename services.yaml
kubectl --namespace stores wait deployment --all --for=condition=Available --timeout=240s

kubectl create namespace ai
kubectl label namespace ai pod-security.kubernetes.io/enforce=restricted
kubectl --namespace ai create secret generic aigateway \
  --from-literal=AIGATEWAY_SECRET="$(random)" \
  --from-literal=LITELLM_MASTER_KEY="$master" \
  --from-literal=REDIS_URL=redis://redis.stores:6379 \
  --from-literal=DATABASE_URL="postgres://aigateway:$password@postgres.stores:5432/aigateway" \
  --from-literal=AZURE_SIMULATED_KEY=simulated-key \
  --from-literal=TEST_CALLER_KEY="$caller"
"$helm" install gateway "$chart" --namespace ai --values values.yaml --set image.tag=aaaaaaa --wait --timeout 6m

forward control-plane 4000
generate "{\"key\":\"$caller\"}"
generate "{\"key\":\"$limited\",\"rpm_limit\":3}"
"$helm" test gateway --namespace ai --logs --timeout 3m
smoke aaaaaaa

listed=$(proxies)
mapfile -t before <<<"$listed"
"$helm" upgrade gateway "$chart" --namespace ai --values values.yaml --set image.tag=bbbbbbb --wait --timeout 6m
gone "${before[@]}"
smoke bbbbbbb

listed=$(proxies)
mapfile -t before <<<"$listed"
"$helm" rollback gateway 1 --namespace ai --wait --timeout 6m
gone "${before[@]}"
smoke aaaaaaa
