"""Renders criterion's estimates as tables of medians and ratios: python3 bench_results.py DIR."""

import json
import platform
import subprocess
import sys
import time
from pathlib import Path

UNIT = "primitive/ed25519_verify_strict"
DEPTHS = (1, 2, 4, 8, 16)
# A run takes some ten minutes; what is older than this was measured on another occasion.
ONE_RUN_SECONDS = 3_600

# Pattern of ids, the peer of the same n to compare with, what is measured.
ROWS = [
    (UNIT, None, "one strict Ed25519 verification of 256 bytes by ed25519-dalek 2, which the Biscuit library uses: the unit"),
    (UNIT + "_dalek_3", None, "the same by ed25519-dalek 3, which the verifier uses"),
    ("check/warm/{n}", "peer/biscuit_auth/{n}", "header bytes of a remembered token → permit"),
    ("check/hop/{n}", "peer/biscuit_auth/{n}", "header bytes → permit, the token without its last block being remembered"),
    ("check/cold/{n}", "peer/biscuit_auth/{n}", "header bytes → permit, nothing remembered"),
    ("check/warm_proof/{n}", None, "as warm, for a token bound to a key, with a new proof of possession for each call"),
    ("check/cold_proof/{n}", None, "as cold, likewise"),
    ("check/warm_policy/{n}", None, "as warm, under an operator policy of six rules"),
    ("check/held/{n}", None, "a token verified before and held by the caller → permit"),
    ("check/warm_arguments/{n}", "peer/tenuo/{n}", "as warm, with two conditions on arguments in each block: the work of `peer/tenuo`"),
    ("check/cold_arguments/{n}", "peer/tenuo/{n}", "as cold, likewise"),
    ("check/warm_arguments_proof/{n}", "peer/tenuo_proof/{n}", "as warm, likewise, each call with a proof of possession"),
    ("check/cold_arguments_proof/{n}", "peer/tenuo_proof/{n}", "as cold, likewise"),
    ("peer/biscuit_auth/{n}", None, "bare biscuit-auth: parse, verify, cloned authorizer with the same policy, no profile"),
    ("peer/tenuo/{n}", None, "crate `tenuo`: base64url text of n warrants → signatures (as a batch, not strict), linkage, time, tool, two conditions"),
    ("peer/tenuo_proof/{n}", None, "the same with its proof of possession (one more signature, no replay memory)"),
    ("peer/jwt", None, "crate `jsonwebtoken` over aws-lc-rs: an EdDSA access token of four claims, verified and read"),
    ("datalog/evaluate/{n}", None, "the reference engine alone, on the facts of one request"),
    ("mint", None, "authority block with two grants → signed token bytes"),
    ("attenuate/{n}", None, "a token of n blocks → one more block with three checks, bytes"),
]
HOSTILE = {
    "cross_join": "facts joined four ways",
    "regex": "a regular expression that fills the token",
    "closure": "nested closures, as many as fit",
    "facts": "as many facts as fit",
    "symbols": "one list of as many texts as fit: inside the profile",
    "rules": "as many rules as fit",
    "nesting": "one expression of negations, as many as fit",
    "nested_lists": "lists within lists, as deep as fits",
    "full_chain": "17 blocks full of checks that hold: inside the profile and allowed, 17 signatures",
    "long_list": "a list of integers that fills the token, before a list of 50,000 arguments",
}
SCALE = [
    ("scale/machine/1", "one strict Ed25519 verification, one thread"),
    ("scale/machine/2", "the same on two threads that share nothing: what this machine makes of two threads"),
    ("scale/threads/1", "one thread, 64 tokens in turn"),
    ("scale/threads/2", "two threads with one verifier, 64 tokens each: time of a check with both at work"),
    ("scale/threads_one_token/1", "one thread, one token"),
    ("scale/threads_one_token/2", "two threads, the same one token"),
    ("scale/remembered/1", "one token, which alone is remembered"),
    ("scale/remembered/100000", "one token while 100,000 are remembered"),
    ("scale/remembered_in_turn/1", "as above, measured as below"),
    ("scale/remembered_in_turn/100000", "100,000 tokens in turn: each long gone from the processor's caches"),
    ("scale/revoked/0", "a token of 8 blocks, nothing revoked"),
    ("scale/revoked/1", "the same, one other id revoked"),
    ("scale/revoked/1000000", "the same, 1,000,000 other ids revoked"),
]


class Results:
    """Estimates under criterion's folder."""

    def __init__(self, root: Path):
        self.root = root
        self.newest = max((p.stat().st_mtime for p in root.rglob("new/estimates.json")), default=0)

    def path(self, name: str) -> Path:
        nested = self.root / name / "new" / "estimates.json"
        flat = self.root / name.replace("/", "_") / "new" / "estimates.json"
        return nested if nested.is_file() else flat

    def median(self, name: str):
        """Median of one bench in nanoseconds, or None if it never ran."""
        path = self.path(name)
        if not path.is_file():
            return None
        return json.loads(path.read_text())["median"]["point_estimate"]

    def is_old(self, name: str) -> bool:
        return self.newest - self.path(name).stat().st_mtime > ONE_RUN_SECONDS

    def ratio(self, one: str, other: str):
        """One median over another, or None."""
        a, b = self.median(one), self.median(other)
        return None if a is None or b is None else a / b

    def document(self, name: str) -> dict:
        path = self.root / name
        return json.loads(path.read_text()) if path.is_file() else {}


def machine() -> str:
    """Processor model, core count and what its arithmetic can use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    widest = next((flag for flag in ("avx512ifma", "avx2") if flag in flags), "no AVX2")
    return f"{models[0]}, {len(models)} logical cores, {widest}" if models else "unknown processor"


def duration(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.2f} µs"


def ratio(value, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def names(pattern: str):
    return [pattern.format(n=n) for n in DEPTHS] if "{n}" in pattern else [pattern]


def targets(results: Results) -> None:
    """What has to be reached, and whether it was in this run."""
    unit = results.median(UNIT)
    rows = []

    def add(question: str, goal: str, values: list, reached) -> None:
        known = [value for value in values if value is not None]
        if known:
            verdict = "reached" if len(known) == len(values) and all(map(reached, known)) else "**missed**"
            rows.append((question, goal, " / ".join(f"{value:.3g}" for value in known), verdict))

    def of_unit(name: str):
        return results.ratio(name, UNIT)

    memory = results.document("memory.json")
    add("warm check, 1 block, × unit", "≤ 1/30", [of_unit("check/warm/1")], lambda v: v <= 1 / 30)
    add("warm check, 8 blocks, × unit", "≤ 1/12", [of_unit("check/warm/8")], lambda v: v <= 1 / 12)
    add("allocations of a warm check, 1 / 8 blocks", "none",
        [memory.get(f"allocations_of_a_warm_check_of_{n}") for n in ("1_block", "8_blocks")], lambda v: v == 0)
    add("one new hop, 2 / 8 / 16 blocks, × unit", "≤ 1.9", [of_unit(f"check/hop/{n}") for n in (2, 8, 16)], lambda v: v <= 1.9)
    add("the same, × one verification by the verifier's faster back end", "(≤ 1.9)",
        [results.ratio(f"check/hop/{n}", UNIT + "_dalek_3") for n in (2, 8, 16)], lambda v: v <= 1.9)
    add("cold, 8 blocks, × bare biscuit-auth", "≤ 0.65", [results.ratio("check/cold/8", "peer/biscuit_auth/8")], lambda v: v <= 0.65)
    depths = (1, 2, 4, 8)

    def against(ours: str, peer: str):
        return [results.ratio(f"{peer}/{n}", f"{ours}/{n}") for n in depths]

    add("warm, times faster than `tenuo`, 1 / 2 / 4 / 8", "≥ 20", against("check/warm_arguments", "peer/tenuo"), lambda v: v >= 20)
    add("warm with proof, times faster than `tenuo` with proof", "> 1", against("check/warm_arguments_proof", "peer/tenuo_proof"), lambda v: v > 1)
    add("cold, times faster than `tenuo`", "> 1", against("check/cold_arguments", "peer/tenuo"), lambda v: v > 1)
    add("cold with proof, times faster than `tenuo` with proof", "> 1", against("check/cold_arguments_proof", "peer/tenuo_proof"), lambda v: v > 1)
    add("warm check, 8 blocks, times faster than a JWT", "> 1", [results.ratio("peer/jwt", "check/warm/8")], lambda v: v > 1)
    one, two = results.median("scale/threads/1"), results.median("scale/threads/2")
    alone, both = results.median("scale/machine/1"), results.median("scale/machine/2")
    scaling = one / two if one and two else None
    limit = alone / both if alone and both else None
    add("throughput of 2 threads over that of 1", "scales as work that shares nothing (× 0.8)", [scaling, limit],
        lambda v: bool(scaling and limit) and scaling >= 0.8 * limit)
    add("one token among 100,000 over alone", "flat (≤ 1.5)", [results.ratio("scale/remembered/100000", "scale/remembered/1")], lambda v: v <= 1.5)
    add("1,000,000 revoked ids over none", "flat (≤ 1.5)", [results.ratio("scale/revoked/1000000", "scale/revoked/0")], lambda v: v <= 1.5)
    bombs = [name for name in HOSTILE if name != "full_chain"]
    add("hostile tokens, the worst but `full_chain`, × unit", "< 10",
        [max((of_unit(f"hostile/{name}") or 0 for name in bombs), default=None) if unit and of_unit("hostile/regex") else None], lambda v: v < 10)
    print("## What had to be reached\n")
    print("| question | goal | measured | |")
    print("|---|---|---:|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def main_table(results: Results) -> None:
    print("## Decisions\n")
    print("| bench | median | × unit | × peer | what is measured |")
    print("|---|---:|---:|---:|---|")
    for pattern, peer, what in ROWS:
        for name in names(pattern):
            value = results.median(name)
            if value is None:
                continue
            other = peer.format(n=name.rsplit("/", 1)[-1]) if peer else None
            compared = results.ratio(name, other) if other else None
            shown = f"{ratio(compared)} `{other.split('/')[1]}`" if compared is not None else ""
            old = " (of an earlier run)" if results.is_old(name) else ""
            print(f"| `{name}` | {duration(value)} | {ratio(results.ratio(name, UNIT))} | {shown} | {what}{old} |")
    print()


def scale_table(results: Results) -> None:
    memory = results.document("memory.json")
    print("## Numbers\n")
    print("| bench | median | what is measured |")
    print("|---|---:|---|")
    for name, what in SCALE:
        value = results.median(name)
        if value is not None:
            print(f"| `{name}` | {duration(value)} | {what} |")
    print()
    if memory:
        print("Counted by an allocator that counts, not by the process's size:\n")
        print(f"- a remembered token of 1 block holds {memory['token_of_1_block']:,.0f} bytes, one of 8 blocks {memory['token_of_8_blocks']:,.0f}, stems included;")
        print(f"- a revoked id holds {memory['revoked_id']:.1f} bytes. The list on disk (sled) is read into the same memory when it is opened and is not on the way of a check.\n")


def hostile_table(results: Results) -> None:
    print("## Hostile tokens\n")
    print("Each has good signatures and as close to 16,384 bytes as its content comes, before a verifier that has not seen it.\n")
    print("| bench | median | × unit | what it is |")
    print("|---|---:|---:|---|")
    for name, what in HOSTILE.items():
        value = results.median(f"hostile/{name}")
        if value is not None:
            print(f"| `hostile/{name}` | {duration(value)} | {ratio(results.ratio(f'hostile/{name}', UNIT), 2)} | {what} |")
    print()


def backend_table(results: Results) -> None:
    strictness = results.document("strictness.json")
    if not strictness:
        return
    kinds = [what for what, _, _ in next(iter(strictness.values()))]
    print("## Ed25519 back ends\n")
    print("`verify` takes the bytes of a key and a signature; `public key` is the check of a chain's proof. The other columns are")
    print("doubtful signatures and how many of each kind a back end accepts.\n")
    print("| back end | verify | public key | " + " | ".join(kinds) + " |")
    print("|---|---:|---:|" + "---:|" * len(kinds))
    for name, counts in strictness.items():
        cells = [f"{accepted} of {of}" for _, accepted, of in counts]
        times = [results.median(f"backend/{name}/{what}") for what in ("verify", "public_key")]
        shown = [duration(value) if value is not None else "" for value in times]
        print(f"| {name} | " + " | ".join(shown + cells) + " |")
    print()
    print("The verifier uses dalek 3: as strict as the library's own verification, which it is tested against signature by")
    print("signature, in Rust, and the fastest of all where the processor has AVX-512 (`.cargo/config.toml` lets it choose at run")
    print("time). aws-lc-rs makes public keys faster and would put a second C library beside ring into the product.\n")


# Steps of the issuer's bench with what each is.
ISSUER_STEPS = {
    "ask": "an agent asks",
    "page": "its link leads an approver to the page of the request",
    "approve": "the form is sent: decided, recorded and durable",
    "mint": "the agent collects its token: signed, verified, recorded and durable",
    "list": "the list of what waits",
    "ended": "the sessions page, those that are over",
    "api": "`GET /v1/sessions`",
    "page_after_page": "`GET /v1/sessions`, each page after the one before",
}


def issuer_tables(results: Results) -> None:
    figures = results.document("issuer.json")
    if not figures:
        return
    one, many = figures["one_after_the_other"], figures["at_once"]
    waiting, sessions = figures["waiting"], figures["sessions"]
    print("## Approving\n")
    print("An issuer with its database on disk (SQLite, `synchronous=FULL`), through its HTTP routes without sockets; everything")
    print("that changes something is one line of the audit record and one commit, both durable before the answer.\n")
    print(f"From asking to the token: {one['flows_a_second']:,.0f} a second one after the other, {many['flows_a_second']:,.0f} with {many['at_once']} at once.\n")
    print("| step | median | 99 of 100 | what is measured |")
    print("|---|---:|---:|---|")
    for step in ("ask", "page", "approve", "mint"):
        print(f"| {step} | {latency(one[step])} | {ISSUER_STEPS[step]} |")
    print()
    beside("Requests that wait", waiting["empty"], waiting["full"], "none", f"{waiting['waiting']:,}", ("list", "ask", "page", "mint"))
    beside("Sessions", sessions["one"], sessions["many"], "one", f"{sessions['sessions']:,}", ("page", "ended", "api", "page_after_page"))


def latency(step: dict) -> str:
    return f"{duration(step['p50_us'] * 1e3)} | {duration(step['p99_us'] * 1e3)}"


def beside(title: str, empty: dict, full: dict, none: str, count: str, steps: tuple) -> None:
    print(f"**{title}**: {none} beside {count}.\n")
    print(f"| step | median, {none} | 99 of 100 | median, {count} | 99 of 100 | × at 99 of 100 | what is measured |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for step in steps:
        what = "the sessions page" if (title, step) == ("Sessions", "page") else ISSUER_STEPS[step]
        times = full[step]["p99_us"] / empty[step]["p99_us"]
        print(f"| {step} | {latency(empty[step])} | {latency(full[step])} | {ratio(times, 2)} | {what} |")
    print()


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    results = Results(Path(sys.argv[1]))
    if results.median(UNIT) is None:
        sys.exit(f"no estimates under {results.root}: run scripts/bench.sh")
    print("# Bench results\n")
    print("Written by `scripts/bench.sh`, which runs everything below and repeats this page; `scripts/bench.sh --only GROUP` runs")
    print("one part. Machines are shared and noisy: read the ratios, not the times. A chain of n blocks is an authority block with")
    print("two grants and three checks and n − 1 later blocks of three checks each (tool, resource, expiry); the call touches one")
    print("resource and has four arguments. All times are medians.\n")
    print(f"Machine: {machine()}. Build: release profile, overflow checks on. Commit: {commit()}. Date: {time.strftime('%Y-%m-%d', time.gmtime(results.newest))}.\n")
    targets(results)
    main_table(results)
    scale_table(results)
    issuer_tables(results)
    hostile_table(results)
    backend_table(results)


if __name__ == "__main__":
    main()
