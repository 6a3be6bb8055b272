#!/usr/bin/env bash
# Runs everything the project promises about itself, from a fresh clone.
#
#   ./scripts/test.sh              install what is missing, then every stage
#   ./scripts/test.sh fmt clippy   only the named stages, in the order given
#   ./scripts/test.sh --list       names of the stages
#
# Needs Rust (see rust-version in Cargo.toml), a C compiler, Python 3.11 or
# later, Node 20 or later with npm, and Debian 12 or later with root or sudo.
# Chromium and its driver, libfaketime, openssl and the Python and Node packages are
# installed here, only if missing.
# The last line reads `tests: N passed, N failed`.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

all_stages=(setup fmt clippy docs tests supply-chain release benches walkthrough)

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
export RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings"
if [[ -n ${CI:-} ]]; then
  # Nothing is compiled twice in a fresh clone, so incremental state is waste.
  export CARGO_INCREMENTAL=0
fi

target_dir=${CARGO_TARGET_DIR:-$root/target}
export BAILIWICK_TEST_PYTHON=${BAILIWICK_TEST_PYTHON:-$root/.venv}
export BAILIWICK_TEST_NODE=${BAILIWICK_TEST_NODE:-$root/.node}
log_dir=$target_dir/test-logs
mkdir -p "$log_dir"

passed=0
failed=0
failed_stages=()

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# --- setup -----------------------------------------------------------------

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "installing packages needs root or sudo: $*"
  fi
}

debian_has() {
  [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == "install ok installed" ]]
}

# Debian's security suite keeps only the newest Chromium, so an exact version
# cannot be pinned; the versions used are printed and kept with the logs.
setup_debian() {
  local wanted=(chromium chromium-driver libfaketime openssl) missing=() name
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    wanted+=(python3 python3-venv)
  fi
  for name in "${wanted[@]}"; do
    debian_has "$name" || missing+=("$name")
  done
  if ((${#missing[@]})); then
    command -v apt-get >/dev/null || die "install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log_dir/apt.log" 2>&1 ||
      { tail -n 40 "$log_dir/apt.log" >&2; die "apt-get install failed"; }
  fi
  dpkg-query -W -f '${Package} ${Version}\n' chromium chromium-driver libfaketime |
    tee "$log_dir/versions.txt"
}

# One virtual environment for each major version of the MCP SDK: the first
# speaks the protocol with sessions, the second the stateless one. And one for
# what sends the issuer everything that its description allows, and one for a
# mail server.
setup_python() {
  local env lock stamp
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or later is needed"
  for env in sdk-v1 sdk-v2 openapi mail; do
    lock=tests/python/$env.txt
    stamp="$(python3 --version) $(sha256sum <"$lock")"
    if [[ -x $BAILIWICK_TEST_PYTHON/$env/bin/python &&
      $(cat "$BAILIWICK_TEST_PYTHON/$env/.stamp" 2>/dev/null) == "$stamp" ]]; then
      continue
    fi
    say "creating $BAILIWICK_TEST_PYTHON/$env"
    rm -rf -- "${BAILIWICK_TEST_PYTHON:?}/$env"
    python3 -m venv "$BAILIWICK_TEST_PYTHON/$env"
    "$BAILIWICK_TEST_PYTHON/$env/bin/python" -m pip install --quiet --no-input \
      --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock"
    printf '%s' "$stamp" >"$BAILIWICK_TEST_PYTHON/$env/.stamp"
  done
}

# Biscuit's JavaScript library, the MCP conformance suite and a linter of OpenAPI,
# as the lock file pins them. Both ask for Node 22. The library runs on 20 as well, which npm only remarks
# on; for the suite, a package of Node itself is among them. No script of a package
# is run.
setup_node() {
  local stamp
  command -v node >/dev/null && command -v npm >/dev/null || die "Node 20 or later with npm is needed"
  node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' ||
    die "Node 20 or later is needed; this is $(node --version)"
  say "node $(node --version)"
  stamp="$(node --version) $(sha256sum <tests/node/package-lock.json)"
  if [[ $(cat "$BAILIWICK_TEST_NODE/.stamp" 2>/dev/null) == "$stamp" ]]; then
    return
  fi
  say "creating $BAILIWICK_TEST_NODE"
  rm -rf -- "${BAILIWICK_TEST_NODE:?}"
  mkdir -p "$BAILIWICK_TEST_NODE"
  cp tests/node/package.json tests/node/package-lock.json "$BAILIWICK_TEST_NODE"
  npm ci --prefix "$BAILIWICK_TEST_NODE" --ignore-scripts --no-audit --no-fund \
    --loglevel=error >"$log_dir/npm.log" 2>&1 ||
    { tail -n 40 "$log_dir/npm.log" >&2; die "npm ci failed"; }
  printf '%s' "$stamp" >"$BAILIWICK_TEST_NODE/.stamp"
}

stage_setup() {
  command -v cargo >/dev/null || die "Rust is not installed"
  command -v cc >/dev/null || die "a C compiler is not installed"
  cargo --version
  setup_debian
  setup_python
  setup_node
}

# --- stages ----------------------------------------------------------------

stage_fmt() {
  cargo fmt --all --check
  # Outside the workspace: built by scripts/bench.sh alone, and by hand.
  cargo fmt --manifest-path benches/peers/Cargo.toml --check
  cargo fmt --manifest-path fuzz/Cargo.toml --check
}

# The verifier is checked once more as those see it who embed it alone: without
# the features that the servers switch on.
stage_clippy() {
  cargo clippy --workspace --all-targets --locked -- -D warnings
  cargo check -p bailiwick-verifier --lib --no-default-features --locked
}

stage_docs() { cargo doc --workspace --no-deps --document-private-items --locked; }

# Runs a test runner and keeps its output for the closing count.
run_counted() {
  local results=$log_dir/$1.results
  shift
  "$@" 2>&1 | tee "$results"
}

stage_tests() {
  local status=0
  if cargo nextest --version >/dev/null 2>&1; then
    run_counted tests cargo nextest run --workspace --locked || status=$?
  else
    run_counted tests cargo test --workspace --locked --no-fail-fast \
      --lib --bins --tests || status=$?
  fi
  run_counted doctests cargo test --workspace --locked --doc || status=$?
  return "$status"
}

# Licences, sources, bans and minimum versions are held by the `supply_chain`
# tests in any case. cargo-deny reads the same deny.toml and looks closer: at
# other platforms' dependencies and at the licence texts. It is built once, into
# the target directory, without optimisation: it runs for a second.
deny_version=0.20.2
stage_supply-chain() {
  local tools=$target_dir/tools
  if [[ ! -x $tools/bin/cargo-deny ]]; then
    CARGO_TARGET_DIR=$tools/build cargo install cargo-deny --version "$deny_version" --locked \
      --debug --quiet --root "$tools"
    rm -rf -- "$tools/build"
  fi
  PATH=$tools/bin:$PATH cargo deny --locked check --hide-inclusion-graph bans licenses sources
}

stage_release() { cargo build --release --locked; }

# Runs each bench once, to prove that it still measures what it says; without
# optimisation, because nobody reads the clock here. scripts/bench.sh measures.
stage_benches() { cargo bench --profile dev --locked -p bailiwick-benches -- --test; }

# Types the README's commands into a shell and compares what they print.
stage_walkthrough() {
  BAILIWICK_TEST_BINARY=$target_dir/release/bailiwick ./scripts/check-readme.sh
}

# --- running ---------------------------------------------------------------

run_stage() {
  local name=$1 started=$SECONDS status
  say "==> $name"
  # Not `( … ) || status=$?`: that would switch `set -e` off inside the stage.
  set +e
  (
    set -e
    "stage_$name"
  )
  status=$?
  set -e
  if ((status == 0)); then
    say "<== $name: ok, $((SECONDS - started)) s"
  else
    say "<== $name: FAILED ($status), $((SECONDS - started)) s"
    failed_stages+=("$name")
  fi
}

# Reads the runners' own summaries, so that the closing line counts tests that
# ran, not tests that exist.
count_tests() {
  local line results
  for results in "$log_dir"/*.results; do
    [[ -e $results ]] || continue
    while IFS= read -r line; do
      if [[ $line =~ Summary\ .*\ tests?\ run: ]]; then
        if [[ $line =~ ([0-9]+)\ passed ]]; then passed=$((passed + BASH_REMATCH[1])); fi
        if [[ $line =~ ([0-9]+)\ failed ]]; then failed=$((failed + BASH_REMATCH[1])); fi
        if [[ $line =~ ([0-9]+)\ timed\ out ]]; then failed=$((failed + BASH_REMATCH[1])); fi
      elif [[ $line =~ ^test\ result:.*\ ([0-9]+)\ passed\;\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
      fi
    done <"$results"
  done
}

main() {
  local stages=("$@") name
  if [[ ${1:-} == --list ]]; then
    printf '%s\n' "${all_stages[@]}"
    return 0
  fi
  ((${#stages[@]})) || stages=("${all_stages[@]}")
  for name in "${stages[@]}"; do
    declare -F "stage_$name" >/dev/null || die "no stage named $name; try --list"
  done
  rm -f -- "$log_dir"/*.results
  for name in "${stages[@]}"; do
    run_stage "$name"
    # Without its tools nothing later can be believed.
    if [[ $name == setup && ${#failed_stages[@]} -gt 0 ]]; then
      break
    fi
  done
  count_tests
  say "total: ${SECONDS} s"
  if ((${#failed_stages[@]})); then
    say "failed stages: ${failed_stages[*]}"
    ((failed > 0)) || failed=${#failed_stages[@]}
  fi
  say "tests: $passed passed, $failed failed"
  ((${#failed_stages[@]} == 0))
}

main "$@"
