"""Renders criterion's estimates as a table of medians and ratios: python3 bench_results.py DIR."""

import json
import platform
import sys
from pathlib import Path

ROWS = [
    ("primitive/ed25519_verify_strict", "one strict Ed25519 verification of 256 bytes: the unit"),
    ("check/cold/{n}", "raw token bytes → permit, nothing remembered"),
    ("check/warm/{n}", "header bytes of a remembered token → permit"),
    ("check/hop/{n}", "raw token bytes → permit, the token without its last block being remembered"),
    ("check/held/{n}", "a token verified before and held by the caller → permit"),
    ("datalog/evaluate/{n}", "the reference engine alone, on the facts of one request"),
    ("peer/biscuit_auth/{n}", "bare biscuit-auth: parse, verify, cloned authorizer with the same policy, no profile"),
    ("mint", "authority block with two grants → signed token bytes"),
    ("attenuate/{n}", "a token of n blocks → one more block with three checks, bytes"),
]
BLOCKS = (1, 2, 4, 8, 16)


def median(root: Path, name: str):
    """Median of one bench in nanoseconds, or None if it did not run."""
    folders = [root / name, root / name.replace("/", "_")]
    for folder in folders:
        path = folder / "new" / "estimates.json"
        if path.is_file():
            return json.loads(path.read_text())["median"]["point_estimate"]
    return None


def machine() -> str:
    """Processor model and core count."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} logical cores" if models else "unknown processor"


def main() -> None:
    root = Path(sys.argv[1])
    unit = median(root, "primitive/ed25519_verify_strict")
    if unit is None:
        sys.exit(f"no estimates under {root}: run scripts/bench.sh")
    print("# Bench results\n")
    print("Written by `scripts/bench.sh`, which runs everything below in one run and repeats this page.")
    print("Machines are shared and noisy: read the ratios, not the times. A chain of n blocks is an")
    print("authority block and n − 1 later blocks of three checks each (tool, resource, expiry); the call")
    print("touches one resource and has two arguments.\n")
    print(f"Machine: {machine()}. Build: release profile, overflow checks on.\n")
    print("| bench | median | × one Ed25519 verification | × bare biscuit-auth | what is measured |")
    print("|---|---:|---:|---:|---|")
    for pattern, what in ROWS:
        names = [pattern.format(n=n) for n in BLOCKS] if "{n}" in pattern else [pattern]
        for name in names:
            value = median(root, name)
            if value is None:
                continue
            peer = median(root, f"peer/biscuit_auth/{name.rsplit('/', 1)[-1]}")
            compared = name.startswith("check/") and peer
            ratio = f"{value / peer:.3f}" if compared else ""
            print(f"| `{name}` | {value / 1000:.2f} µs | {value / unit:.3f} | {ratio} | {what} |")


if __name__ == "__main__":
    main()
