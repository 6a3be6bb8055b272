#!/usr/bin/env bash
# Types the commands of README.md into a shell and compares what they print.
#
#   ./scripts/check-readme.sh            fail where README.md has rotted
#   ./scripts/check-readme.sh --update   write what they print into README.md
#
# BAILIWICK_TEST_BINARY names the binary (else target/release is built), and
# BAILIWICK_TEST_PYTHON a Python with biscuit-python, or the directory of
# environments that scripts/test.sh makes. Needs no network. Ids, times, keys
# and ports are compared by their form only.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

binary=${BAILIWICK_TEST_BINARY:-}
if [[ -z $binary ]]; then
  cargo build --release --locked
  binary=${CARGO_TARGET_DIR:-$root/target}/release/bailiwick
fi

[[ -x $binary ]] || {
  echo "error: $binary is not there" >&2
  exit 1
}

python=${BAILIWICK_TEST_PYTHON:-$root/.venv}
if [[ -d $python ]]; then
  python=$python/sdk-v1/bin/python
fi
"$python" -c 'import biscuit_auth' 2>/dev/null || {
  echo "error: biscuit-python is not installed; ./scripts/test.sh setup installs it" >&2
  exit 1
}

exec "$python" scripts/check_readme.py --binary "$binary" "$@"
