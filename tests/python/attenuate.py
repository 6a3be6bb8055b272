"""Narrows a token with biscuit-python, as any holder can.

Reads one JSON object from standard input:

    {"token": ..., "root": "ed25519/HEX", "block": Datalog text}

verifies the token's signatures under the root key, appends the block, and
prints {"token": ..., "blocks": [Datalog text, ...], "revocation_ids": [...]}.
"""

import json
import sys

from biscuit_auth import Biscuit, BlockBuilder, PublicKey


def main():
    asked = json.load(sys.stdin)
    root = PublicKey(asked["root"])
    token = Biscuit.from_base64(asked["token"], root)
    narrowed = token.append(BlockBuilder(asked["block"]))
    json.dump(
        {
            "token": narrowed.to_base64(),
            "blocks": [narrowed.block_source(i) for i in range(narrowed.block_count())],
            "revocation_ids": narrowed.revocation_ids,
        },
        sys.stdout,
    )


main()
