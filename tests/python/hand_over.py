"""Hands a bound token on with biscuit-python: a third-party block by a holder's key.

Reads one JSON object from standard input:

    {"token": ..., "root": "ed25519/HEX", "key": a private JWK, "block": Datalog text}

verifies the token's signatures under the root key and prints a JSON object: the
token with the block appended, and for each block of the token that was read the
third party that signed it, or null.
"""

import base64
import json
import sys

from biscuit_auth import Biscuit, BlockBuilder, KeyPair, PrivateKey, PublicKey


def main():
    asked = json.load(sys.stdin)
    token = Biscuit.from_base64(asked["token"], PublicKey(asked["root"]))
    secret = base64.urlsafe_b64decode(asked["key"]["d"] + "=")
    key = KeyPair.from_private_key(PrivateKey(f"ed25519-private/{secret.hex()}"))
    signed = token.third_party_request().create_block(key.private_key, BlockBuilder(asked["block"]))
    signers = (token.block_external_key(index) for index in range(token.block_count()))
    answer = {
        "token": token.append_third_party(key.public_key, signed).to_base64(),
        "signers": [signer and str(signer) for signer in signers],
    }
    json.dump(answer, sys.stdout)


main()
