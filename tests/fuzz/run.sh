#!/usr/bin/env bash
# Fuzzes one decoder (or each in turn) under AddressSanitizer and UndefinedBehaviorSanitizer. usage: run.sh [NAME|all] [SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=${1:-all}
seconds=${2:-60}
build=build-fuzz
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CXX_LD=mold
if [ ! -f $build/build.ninja ]; then
  CXX="ccache clang++" meson setup $build --buildtype=debug -Doptimization=1 -Ddebug=false -Dfuzz=true \
    -Db_lundef=false -Dwerror=false -Dcpp_args="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=null
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1" -Dcpp_link_args="-fsanitize=address,undefined"
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
