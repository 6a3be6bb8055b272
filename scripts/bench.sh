#!/usr/bin/env bash
# Runs the benches with their peers and writes benches/RESULTS.md.
#
#   scripts/bench.sh                                everything: some ten minutes on two cores
#   scripts/bench.sh --only decision                one group: decision, scale, memory, issuer or peers
#   scripts/bench.sh --only decision -- check/hop   options and filters for criterion
#
# What a group measured last stays in the results until it is run again; a row says so if it was
# not measured with the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

groups=(decision scale memory issuer peers)
if [[ ${1:-} == --only ]]; then
  [[ " ${groups[*]} " == *" ${2:-} "* ]] || { printf 'groups: %s\n' "${groups[*]}" >&2; exit 2; }
  groups=("$2")
  shift 2
fi
[[ ${1:-} == -- ]] && shift
options=(--noplot --warm-up-time 0.5 --measurement-time 2 --sample-size 50 "$@")

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target
for group in "${groups[@]}"; do
  case $group in
    peers) cargo bench --locked --manifest-path benches/peers/Cargo.toml -- "${options[@]}" ;;
    memory | issuer) cargo bench --locked -p bailiwick-benches --bench "$group" ;;
    *) cargo bench --locked -p bailiwick-benches --bench "$group" -- "${options[@]}" ;;
  esac
done
python3 scripts/bench_results.py "$target/criterion" > benches/RESULTS.md.new
mv benches/RESULTS.md.new benches/RESULTS.md
printf 'wrote benches/RESULTS.md\n'
