// What the programs here share: the library, and JSON in and out.

import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

// The library greets on standard output, which is for the answer alone.
console.log = console.error;

// The packages are installed outside the source tree.
const packages = process.env.BAILIWICK_TEST_NODE;
if (!packages) {
  throw new Error("BAILIWICK_TEST_NODE does not name the directory of the packages");
}
const library = join(packages, "node_modules/@biscuit-auth/biscuit-wasm/module/biscuit.js");
const wasm = await import(pathToFileURL(library));
const { Biscuit, BlockBuilder, PublicKey, SignatureAlgorithm, prepareTerm } = wasm;

/** The JSON object on standard input. */
export function asked() {
  return JSON.parse(readFileSync(0, "utf8"));
}

/** The answer, as JSON on standard output. */
export function answer(value) {
  const text = Buffer.from(JSON.stringify(value));
  for (let at = 0; at < text.length; ) {
    at += writeSync(1, text, at);
  }
}

/** The token in `text`, its signatures verified under `root`, `ed25519/HEX`. */
export function read(text, root) {
  const hex = root.replace(/^ed25519\//, "");
  return Biscuit.fromBase64(text, PublicKey.fromString(hex, SignatureAlgorithm.Ed25519));
}

/** A block of this Datalog, with the library's own terms for the values. */
export function blockOf(code, values = {}) {
  const terms = Object.entries(values).map(([name, value]) => [name, prepareTerm(value)]);
  const block = new BlockBuilder();
  block.addCodeWithParameters(code, Object.fromEntries(terms), {});
  return block;
}
