#!/usr/bin/env bash
# Fuzzes one decoder (or each in turn) under AddressSanitizer. usage: run.sh [NAME|all] [SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=${1:-all}
seconds=${2:-60}
build=build-fuzz
if [ ! -f $build/build.ninja ]; then
  CXX="ccache clang++" CXX_LD=lld meson setup $build --buildtype=debugoptimized -Dfuzz=true -Db_lundef=false \
    -Dwerror=false -Dcpp_args="-fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer" \
    -Dcpp_link_args="-fsanitize=address"
fi
targets=()
for source in tests/fuzz/*.cpp; do
  one=$(basename "$source" .cpp)
  if [ "$name" = all ] || [ "$name" = "$one" ]; then targets+=("$one"); fi
done
[ ${#targets[@]} -gt 0 ] || { echo "no fuzzer \"$name\"; there are: $(ls tests/fuzz/*.cpp | xargs -n1 basename | sed 's/\.cpp$//' | tr '\n' ' ')" >&2; exit 2; }
ninja -C $build "${targets[@]/#/tests/fuzz/}"
for one in "${targets[@]}"; do
  echo "== $one for $seconds s"
  mkdir -p "$build/corpus/$one"
  seed=()
  [ -d "tests/fuzz/corpus/$one" ] && seed=("tests/fuzz/corpus/$one")
  "$build/tests/fuzz/$one" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    "$build/corpus/$one" "${seed[@]}"
done
