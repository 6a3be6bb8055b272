#!/usr/bin/env bash
# Runs the decision benches with their peers in one run and writes benches/RESULTS.md.
# Options go to criterion, for example: scripts/bench.sh --measurement-time 2
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --locked -p bailiwick-benches --bench decision -- "$@"
target="${CARGO_TARGET_DIR:-target}"
python3 scripts/bench_results.py "$target/criterion" > benches/RESULTS.md
printf 'wrote benches/RESULTS.md\n'
