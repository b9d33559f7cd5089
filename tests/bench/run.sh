#!/usr/bin/env bash
# Measures a fresh one-node cluster and prints one table: the peer's figure, the aim and ours. Needs root.
# usage: run.sh BUILD_DIR [quick]; "quick" uses a tenth of the objects.
set -euo pipefail
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
scale=1
[ "${2:-}" = quick ] && scale=10
[ "$(id -u)" = 0 ] || { echo "bench: needs root (containers and network rules)" >&2; exit 1; }

work=$(mktemp -d)
data=$work/data
config=$work/cluster.yaml
log=$work/figures.txt
cleanup() {
  "$build/troupe" down --data-dir "$data" --purge >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

port=$((20000 + RANDOM % 20000))
cat > "$config" <<YAML
apiVersion: troupe/v1
kind: TroupeCluster
name: bench
network: {nodePorts: 30000-32767}
nodes:
- name: bench
  roles: [master, worker]
  ports: {api: $port, actors: $((port + 1)), proxyHealth: $((port + 2))}
YAML

now_ms() { echo $(($(date +%s%N) / 1000000)); }
up() { "$build/troupe" up -f "$config" --data-dir "$data" --detach >/dev/null; }
rss_mb() { awk '/^VmRSS/ {printf "%.0f", $2 / 1024}' "/proc/$(cat "$data/bench/lock")/status"; }
kb() { "$build/tests/bench/kbench" --kubeconfig "$data/admin.kubeconfig" "$@" | tee -a "$log" >&2; }
kctl() { kubectl --kubeconfig "$data/admin.kubeconfig" "$@"; }

t=$(now_ms); up; ready_first=$(($(now_ms) - t))
kctl wait --for=condition=Ready node/bench --timeout=30s >/dev/null
idle=$(rss_mb)
"$build/troupe" down --data-dir "$data" >/dev/null
t=$(now_ms); up; ready_again=$(($(now_ms) - t))
idle_again=$(rss_mb)

kb -n $((20000 / scale)) create
kb -n $((20000 / scale)) get
kb -n $((20000 / scale)) update
kb -n $((20000 / scale)) patch
kctl create namespace kbench-list >/dev/null
kb -n $((5000 / scale)) --ns kbench-list create >/dev/null
kb -n 20 -c 1 --ns kbench-list list
kb -n $((20000 / scale)) delete
kb -n $((5000 / scale)) --ns kbench-watch -w 100 watch
loaded=$(rss_mb)

for tag in 1; do
  "$root/configs/demo/build-image.sh" "$work/demo-$tag.tar" "$tag" >/dev/null
  "$build/troupe" image import "$work/demo-$tag.tar" --data-dir "$data" >/dev/null
done
kb -n $((50 / (scale > 1 ? 5 : 1))) --ns kbench-pods podstart
kctl create namespace demo >/dev/null
kctl -n demo apply -f "$root/configs/demo/demo.yaml" >/dev/null
kctl -n demo rollout status deployment/demo --timeout=60s >/dev/null
kb -n 50 --ns demo --deployment demo scale
kctl delete namespace demo --timeout=120s >/dev/null

kb -n $((3000 / scale)) --nodes $((1000 / scale)) --ns kbench-sched sched

figure() { grep -m1 "^$1" "$log" | grep -oE "$2" | head -1 | grep -oE '[0-9.]+' | head -1; }
row() { printf '%-44s %18s %14s %14s\n' "$@"; }
row "what" "peer" "aim" "here"
row "create ConfigMap 1 KiB, 32 clients (1/s)" "1306" ">= 13060" "$(figure 'create configmap' ' [0-9]+/s')"
row "  p99 (ms)" "77" "" "$(grep -m1 '^create configmap' "$log" | sed -E 's/.*p99=([0-9.]+)ms.*/\1/')"
row "get (1/s)" "2547" ">= 25470" "$(figure 'get configmap' ' [0-9]+/s')"
row "update (1/s)" "1380" ">= 13800" "$(figure 'update configmap' ' [0-9]+/s')"
row "list $((5000 / scale)) (ms, p50)" "56" "<= 11" "$(grep -m1 '^list' "$log" | sed -E 's/.*p50=([0-9.]+)ms.*/\1/')"
row "watch fan-out, 100 watchers (events/s)" "27000" ">= 270000" "$(figure 'watch fan-out' ' [0-9]+ events')"
row "  p99 behind (ms)" "" "<= 50" "$(grep -m1 '^watch' "$log" | sed -E 's/.*p99=([0-9.]+)ms.*/\1/')"
row "create-to-bound, $((1000 / scale)) nodes (pods/s)" "102" ">= 2000" "$(figure 'create-to-bound' ' [0-9]+ pods/s')"
row "ready from nothing (ms)" "4600" "<= 300" "$ready_first"
row "ready on an existing data dir (ms)" "" "<= 300" "$ready_again"
row "resident, idle, first start (MB)" "549 (no kubelet)" "<= 60" "$idle"
row "resident, idle, restarted (MB)" "" "<= 60" "$idle_again"
row "resident after the load above (MB)" "" "" "$loaded"
row "pod start p50 (ms)" "900 (published)" "<= 100" "$(grep -m1 '^pod start' "$log" | sed -E 's/.*p50=([0-9.]+)ms.*/\1/')"
row "pod start p99 (ms)" "5000 (SLO)" "<= 300" "$(grep -m1 '^pod start' "$log" | sed -E 's/.*p99=([0-9.]+)ms.*/\1/')"
row "50 replicas Running after (s)" "" "<= 3" "$(grep -m1 '^scale' "$log" | sed -E 's/.*after ([0-9.]+)s.*/\1/')"
