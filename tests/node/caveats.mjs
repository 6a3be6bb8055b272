// Narrows a token by every shape of check that the token profile accepts.
//
// Written as a JavaScript program would be: values go in as parameters, and biscuit-wasm turns
// them into terms. Reads one JSON object from standard input:
//
//     {"token": ..., "root": "ed25519/HEX"}
//
// and prints a JSON list: for each shape, once as `check if` and once as `check all`,
// {"name": ..., "check": Datalog text, "token": ...}.

import { answer, asked, blockOf, read } from "./biscuit.mjs";

const END = new Date("2026-01-31T12:05:00Z");
const REPORTS = ["files", "reports"];
const ARGS = "args($a), ";
const OPTIONAL = "args($a), !$a.contains({n}) || ";

const SHAPES = {
  expiry_inclusive: ["time($t), $t <= {end}", { end: END }],
  expiry_exclusive: ["time($now), $now < {end}", { end: END }],
  tool: ["tool({tool})", { tool: "files.read_file" }],
  tool_list: ["tool($t), {tools}.contains($t)", { tools: ["files.read_file", "files.search"] }],
  tool_set: [
    "tool($t), {tools}.contains($t)",
    { tools: new Set(["files.read_file", "files.search"]) },
  ],
  access: ["access({access})", { access: "read" }],
  access_list: ["access($a), {words}.contains($a)", { words: ["read", "destructive"] }],
  resource: ["resource($r), $r.starts_with({path})", { path: REPORTS }],
  resource_any: [
    "resource($r), $r.starts_with({a}) || $r.starts_with({b}) || $r.starts_with({c})",
    { a: ["drive"], b: ["mail", "inbox"], c: REPORTS },
  ],
  depth: ["depth($d), $d <= {most}", { most: 1 }],
  depth_none: ["depth($d), $d <= {most}", { most: 0 }],
  audience: ["request_audience({uri})", { uri: "http://127.0.0.1:8401/mcp" }],
  audience_other: ["request_audience({uri})", { uri: "https://other.example/mcp" }],
  exact_string: [ARGS + "$a.get({n}) == {v}", { n: "n", v: "caf\u00e9" }],
  exact_integer: [ARGS + "$a.get({n}) == {v}", { n: "n", v: -5 }],
  exact_boolean: [ARGS + "$a.get({n}) == {v}", { n: "n", v: true }],
  one_of: [ARGS + "{vs}.contains($a.get({n}))", { n: "n", vs: ["v", "w"] }],
  one_of_integers: [ARGS + "{vs}.contains($a.get({n}))", { n: "n", vs: [-1, 2] }],
  range: [ARGS + "$a.get({n}) >= {l}, $a.get({n}) <= {h}", { n: "n", l: 1, h: 9 }],
  range_from: [ARGS + "$a.get({n}) >= {l}", { n: "n", l: 1 }],
  range_to: [ARGS + "$a.get({n}) <= {h}", { n: "n", h: 9 }],
  prefix: [ARGS + "$a.get({n}).starts_with({p})", { n: "n", p: "re" }],
  suffix: [ARGS + "$a.get({n}).ends_with({s})", { n: "n", s: ".md" }],
  subset: [ARGS + "$a.get({n}).all($x -> {vs}.contains($x))", { n: "n", vs: ["a", "b"] }],
  any_of: [ARGS + "$a.get({n}).any($x -> {vs}.contains($x))", { n: "n", vs: ["a", "b"] }],
  all_of: [ARGS + "{vs}.all($x -> $a.get({n}).contains($x))", { n: "n", vs: ["a", "b"] }],
  max_length: [ARGS + "$a.get({n}).length() <= {most}", { n: "n", most: 2 }],
  optional_exact: [OPTIONAL + "$a.get({n}) == {v}", { n: "n", v: 5 }],
  optional_one_of: [OPTIONAL + "{vs}.contains($a.get({n}))", { n: "n", vs: ["v"] }],
  optional_range: [
    OPTIONAL + "$a.get({n}) >= {l}, !$a.contains({n}) || $a.get({n}) <= {h}",
    { n: "n", l: 1, h: 9 },
  ],
  optional_prefix: [OPTIONAL + "$a.get({n}).starts_with({p})", { n: "n", p: "re" }],
  optional_suffix: [OPTIONAL + "$a.get({n}).ends_with({s})", { n: "n", s: ".md" }],
  optional_subset: [OPTIONAL + "$a.get({n}).all($x -> {vs}.contains($x))", { n: "n", vs: ["a"] }],
  optional_any_of: [OPTIONAL + "$a.get({n}).any($x -> {vs}.contains($x))", { n: "n", vs: ["a"] }],
  optional_all_of: [OPTIONAL + "{vs}.all($x -> $a.get({n}).contains($x))", { n: "n", vs: ["a"] }],
  optional_max_length: [OPTIONAL + "$a.get({n}).length() <= {most}", { n: "n", most: 2 }],
  present: [ARGS + "$a.contains({n})", { n: "n" }],
  absent: [ARGS + "!$a.contains({n})", { n: "n" }],
  closed_world: [ARGS + "$a.all($kv -> {ns}.contains($kv.get(0)))", { ns: ["n", "m"] }],
  path_under: ["path_arg({n}, $p), $p.starts_with({path})", { n: "path", path: REPORTS }],
  url_scheme_host: [
    "url_arg({n}, $u), $u.get({scheme}) == {https}, $u.get({host}) == {h}",
    { n: "url", scheme: "scheme", https: "https", host: "host", h: "api.example" },
  ],
  url_host_under: [
    "url_arg({n}, $u), $u.get({host}).ends_with({h})",
    { n: "url", host: "host", h: ".example" },
  ],
  url_port: ["url_arg({n}, $u), $u.get({port}) == {p}", { n: "url", port: "port", p: 443 }],
  url_path: [
    "url_arg({n}, $u), $u.get({path}).starts_with({p})",
    { n: "url", path: "path", p: "/v1/" },
  ],
};

const { token: text, root } = asked();
const token = read(text, root);
const narrowed = [];
for (const [name, [condition, values]] of Object.entries(SHAPES)) {
  for (const kind of ["if", "all"]) {
    const child = token.appendBlock(blockOf(`check ${kind} ${condition}`, values));
    const check = child.getBlockSource(child.countBlocks() - 1).trim();
    narrowed.push({ name, check, token: child.toBase64() });
  }
}
answer(narrowed);
