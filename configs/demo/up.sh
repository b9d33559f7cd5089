#!/usr/bin/env bash
# Starts a one-node cluster, gives it the demo image, deploys the demo and shows its replicas answering in turn.
# usage: up.sh BUILD_DIR; TROUPE_DATA_DIR and TROUPE_CONFIG choose another data dir and config.
set -euo pipefail
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo -E)
data=${TROUPE_DATA_DIR:-/var/lib/troupe}
config=(${TROUPE_CONFIG:+-f "$TROUPE_CONFIG"})
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${sudo[@]}" "$build/troupe" up --data-dir "$data" "${config[@]}" --detach
for tag in 1 2; do
  "$here/build-image.sh" "$work/demo-$tag.tar" "$tag" >/dev/null
  "${sudo[@]}" "$build/troupe" image import "$work/demo-$tag.tar" --data-dir "$data"
done

kubeconfig=$data/admin.kubeconfig
kctl() { "${sudo[@]}" kubectl --kubeconfig "$kubeconfig" "$@"; }
kctl apply -f "$here/demo.yaml"
kctl rollout status deployment/demo --timeout=60s

ip=$(kctl get service demo -o 'jsonpath={.spec.clusterIP}')
printf '\nThe Service %s answers through its replicas in turn:\n' "$ip"
answered=
for _ in $(seq 60); do
  answer=$(curl -sS --retry 10 --retry-connrefused --retry-delay 1 --max-time 5 "http://$ip/")
  case $answered in *"$answer"*) continue ;; esac
  printf '  %s\n' "$answer"
  answered+="$answer;"
  [ "$(tr -dc ';' <<<"$answered" | wc -c)" = 3 ] && break
done

cat <<TEXT

The cluster is up. Three things to try next:
  export KUBECONFIG=$kubeconfig
  kubectl get pods -o wide -w                  # then, elsewhere: kubectl scale deployment/demo --replicas=50
  kubectl set image deployment/demo web=docker.io/troupe/demo:2 && kubectl rollout status deployment/demo
  $build/actor-shell --data-dir $data          # actors, raft, get pods, logs …
./dev down stops it; ./dev down --purge also removes containers, rules, mounts and data.
TEXT
