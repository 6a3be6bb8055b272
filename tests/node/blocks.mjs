// Appends blocks to a token with biscuit-wasm, as any holder can.
//
// Reads one JSON object from standard input:
//
//     {"token": ..., "root": "ed25519/HEX", "blocks": [Datalog text, ...]}
//
// verifies the token's signatures under the root key and prints a JSON list: for each block,
// {"open": the token with that block appended, "sealed": the same, sealed}.

import { answer, asked, blockOf, read } from "./biscuit.mjs";

const { token: text, root, blocks } = asked();
const token = read(text, root);
answer(
  blocks.map((code) => {
    const child = token.appendBlock(blockOf(code));
    return { open: child.toBase64(), sealed: child.sealToken().toBase64() };
  }),
);
