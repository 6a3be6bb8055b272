"""A mail server (aiosmtpd) on a free port of this machine, as its JSON argument says:

`certificate` and `key`   files, for TLS
`security`                `tls`, `starttls` (which clients must use), or `none`
`user` and `password`     whom it takes mail from

One JSON line for each thing that happens: `listening`, `starttls`, `auth`, `message`. Mail to
`refused@…` is refused for good.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

WANTED = json.loads(sys.argv[1])


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def authenticate(server, session, envelope, mechanism, data):
    user, password = data.login.decode(), data.password.decode()
    good = (user, password) == (WANTED["user"], WANTED["password"])
    say("auth", user=user, good=good, tls=session.ssl is not None)
    return AuthResult(success=good, handled=False)


class Server(SMTP):
    async def smtp_STARTTLS(self, arg):
        say("starttls")
        await super().smtp_STARTTLS(arg)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        say("message", to=envelope.rcpt_tos, content=envelope.content.decode())
        return "250 2.0.0 taken"


async def main():
    security = WANTED["security"]
    tls = None
    if security != "none":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(WANTED["certificate"], WANTED["key"])

    def serve():
        return Server(
            Handler(),
            hostname="localhost",
            tls_context=tls if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=authenticate,
            auth_required=True,
            # Over implicit TLS the library does not see that the channel is protected.
            auth_require_tls=security == "starttls",
        )

    wrapped = tls if security == "tls" else None
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(serve, "127.0.0.1", 0, ssl=wrapped)
    say("listening", port=listener.sockets[0].getsockname()[1])
    await listener.serve_forever()


asyncio.run(main())
