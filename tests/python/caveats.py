"""Narrows a token by every shape of check that the token profile accepts.

Written as a Python program would be: values go in as parameters, and
biscuit-python turns them into terms. Reads one JSON object from standard
input:

    {"token": ..., "root": "ed25519/HEX"}

and prints a JSON list: for each shape, once as `check if` and once as
`check all`, {"name": ..., "check": Datalog text, "token": ...}.
"""

import json
import sys
from datetime import datetime, timezone

from biscuit_auth import Biscuit, BlockBuilder, PublicKey

END = datetime(2026, 1, 31, 12, 5, tzinfo=timezone.utc)
REPORTS = ["files", "reports"]
OPTIONAL = "args($a), !$a.contains({n}) || "

# Each name with the condition and its parameters. biscuit-python takes a list
# that holds integers from 0 to 255 only for bytes, which is no shape.
SHAPES = {
    "expiry_inclusive": ("time($t), $t <= {end}", {"end": END}),
    "expiry_exclusive": ("time($now), $now < {end}", {"end": END}),
    "tool": ("tool({tool})", {"tool": "files.read_file"}),
    "tool_list": ("tool($t), {tools}.contains($t)", {"tools": ["files.read_file", "files.search"]}),
    "tool_set": ("tool($t), {tools}.contains($t)", {"tools": {"files.read_file", "files.search"}}),
    "access": ("access({access})", {"access": "read"}),
    "access_list": ("access($a), {words}.contains($a)", {"words": ["read", "destructive"]}),
    "resource": ("resource($r), $r.starts_with({path})", {"path": REPORTS}),
    "resource_any": (
        "resource($r), $r.starts_with({a}) || $r.starts_with({b}) || $r.starts_with({c})",
        {"a": ["drive"], "b": ["mail", "inbox"], "c": REPORTS},
    ),
    "depth": ("depth($d), $d <= {most}", {"most": 1}),
    "depth_none": ("depth($d), $d <= {most}", {"most": 0}),
    "audience": ("request_audience({uri})", {"uri": "http://127.0.0.1:8401/mcp"}),
    "audience_other": ("request_audience({uri})", {"uri": "https://other.example/mcp"}),
    "exact_string": ("args($a), $a.get({n}) == {v}", {"n": "n", "v": "caf\u00e9"}),
    "exact_integer": ("args($a), $a.get({n}) == {v}", {"n": "n", "v": -5}),
    "exact_boolean": ("args($a), $a.get({n}) == {v}", {"n": "n", "v": True}),
    "one_of": ("args($a), {vs}.contains($a.get({n}))", {"n": "n", "vs": ["v", "w"]}),
    "one_of_integers": ("args($a), {vs}.contains($a.get({n}))", {"n": "n", "vs": [-1, 2]}),
    "range": ("args($a), $a.get({n}) >= {l}, $a.get({n}) <= {h}", {"n": "n", "l": 1, "h": 9}),
    "range_from": ("args($a), $a.get({n}) >= {l}", {"n": "n", "l": 1}),
    "range_to": ("args($a), $a.get({n}) <= {h}", {"n": "n", "h": 9}),
    "prefix": ("args($a), $a.get({n}).starts_with({p})", {"n": "n", "p": "re"}),
    "suffix": ("args($a), $a.get({n}).ends_with({s})", {"n": "n", "s": ".md"}),
    "subset": ("args($a), $a.get({n}).all($x -> {vs}.contains($x))", {"n": "n", "vs": ["a", "b"]}),
    "any_of": ("args($a), $a.get({n}).any($x -> {vs}.contains($x))", {"n": "n", "vs": ["a", "b"]}),
    "all_of": ("args($a), {vs}.all($x -> $a.get({n}).contains($x))", {"n": "n", "vs": ["a", "b"]}),
    "max_length": ("args($a), $a.get({n}).length() <= {most}", {"n": "n", "most": 2}),
    "optional_exact": (OPTIONAL + "$a.get({n}) == {v}", {"n": "n", "v": 5}),
    "optional_one_of": (OPTIONAL + "{vs}.contains($a.get({n}))", {"n": "n", "vs": ["v"]}),
    "optional_range": (
        OPTIONAL + "$a.get({n}) >= {l}, !$a.contains({n}) || $a.get({n}) <= {h}",
        {"n": "n", "l": 1, "h": 9},
    ),
    "optional_prefix": (OPTIONAL + "$a.get({n}).starts_with({p})", {"n": "n", "p": "re"}),
    "optional_suffix": (OPTIONAL + "$a.get({n}).ends_with({s})", {"n": "n", "s": ".md"}),
    "optional_subset": (
        OPTIONAL + "$a.get({n}).all($x -> {vs}.contains($x))",
        {"n": "n", "vs": ["a"]},
    ),
    "optional_any_of": (
        OPTIONAL + "$a.get({n}).any($x -> {vs}.contains($x))",
        {"n": "n", "vs": ["a"]},
    ),
    "optional_all_of": (
        OPTIONAL + "{vs}.all($x -> $a.get({n}).contains($x))",
        {"n": "n", "vs": ["a"]},
    ),
    "optional_max_length": (OPTIONAL + "$a.get({n}).length() <= {most}", {"n": "n", "most": 2}),
    "present": ("args($a), $a.contains({n})", {"n": "n"}),
    "absent": ("args($a), !$a.contains({n})", {"n": "n"}),
    "closed_world": ("args($a), $a.all($kv -> {ns}.contains($kv.get(0)))", {"ns": ["n", "m"]}),
    "path_under": ("path_arg({n}, $p), $p.starts_with({path})", {"n": "path", "path": REPORTS}),
    "url_scheme_host": (
        "url_arg({n}, $u), $u.get({scheme}) == {https}, $u.get({host}) == {h}",
        {"n": "url", "scheme": "scheme", "https": "https", "host": "host", "h": "api.example"},
    ),
    "url_host_under": (
        "url_arg({n}, $u), $u.get({host}).ends_with({h})",
        {"n": "url", "host": "host", "h": ".example"},
    ),
    "url_port": ("url_arg({n}, $u), $u.get({port}) == {p}", {"n": "url", "port": "port", "p": 443}),
    "url_path": (
        "url_arg({n}, $u), $u.get({path}).starts_with({p})",
        {"n": "url", "path": "path", "p": "/v1/"},
    ),
}


def main():
    asked = json.load(sys.stdin)
    token = Biscuit.from_base64(asked["token"], PublicKey(asked["root"]))
    narrowed = []
    for name, (condition, values) in SHAPES.items():
        for kind in ("if", "all"):
            block = BlockBuilder(f"check {kind} {condition}", values)
            text = token.append(block).to_base64()
            narrowed.append({"name": name, "check": repr(block), "token": text})
    json.dump(narrowed, sys.stdout)


main()
