"""Narrows a token with biscuit-python, as any holder can.

Reads one JSON object from standard input:

    {"token": ..., "root": "ed25519/HEX", "blocks": [Datalog text, ...]}

verifies the token's signatures under the root key and prints a JSON list: for
each block, the token with that block appended.
"""

import json
import sys

from biscuit_auth import Biscuit, BlockBuilder, PublicKey


def main():
    asked = json.load(sys.stdin)
    token = Biscuit.from_base64(asked["token"], PublicKey(asked["root"]))
    narrowed = [token.append(BlockBuilder(block)).to_base64() for block in asked["blocks"]]
    json.dump(narrowed, sys.stdout)


main()
