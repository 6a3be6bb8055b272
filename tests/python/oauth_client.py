"""Connects to an MCP server as an interactive client does, with the official SDK of either
generation and nothing told but the server's URL: discovery, registration, PKCE, the browser, the
token, the call.

Takes one JSON object as its argument:

    {"url": ..., "connections": [{"steps": [as for mcp_client.py]}, ...]}

Each connection is made anew by the same registered client, which forgets its token in between. It
prints one JSON line for each address that a person has to open, and one for the answers:

    {"event": "open", "number": 0, "url": ...}
    {"event": "answers", "answers": [...], "scope": ...}
"""

import asyncio
import itertools
import json
import sys
from urllib.parse import parse_qs, urlsplit

import mcp_client
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

try:
    import httpx2 as httpx
    from mcp.client.auth import AuthorizationCodeResult

    FIRST_SDK = False
except ImportError:
    import httpx

    FIRST_SDK = True

PATIENCE_SECONDS = 60


def say(**event):
    print(json.dumps(event), flush=True)


class Memory:
    """What the SDK stores."""

    def __init__(self):
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """The address on this machine where the browser brings the answer."""

    def __init__(self):
        self.answer = asyncio.Queue()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/callback"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def take(self, reader, writer):
        target = (await reader.readline()).decode().split(" ")[1]
        while (await reader.readline()).strip():
            pass
        body = b"You can close this page."
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        if target.startswith("/callback?"):
            await self.answer.put(parse_qs(urlsplit(target).query))

    async def wait(self):
        answer = {name: values[0] for name, values in (await self.answer.get()).items()}
        if "code" not in answer:
            raise RuntimeError(f"no code: {answer}")
        if FIRST_SDK:
            return answer["code"], answer.get("state")
        return AuthorizationCodeResult(
            code=answer["code"], state=answer.get("state"), iss=answer.get("iss")
        )


async def converse(url, provider, steps):
    from mcp.client.streamable_http import streamable_http_client

    answers = []
    refusal = mcp_client.LastRefusal()
    async with httpx.AsyncClient(auth=provider, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        if FIRST_SDK:
            from mcp import ClientSession

            async with streamable_http_client(url, http_client=client) as (read, write, _):
                async with ClientSession(read, write) as session:
                    await session.initialize()
                    await mcp_client.take_steps(session, steps, refusal, answers)
        else:
            from mcp import Client

            transport = streamable_http_client(url, http_client=client)
            async with Client(transport, mode="2026-07-28") as session:
                await mcp_client.take_steps(session, steps, refusal, answers)
    return answers


async def main():
    asked = json.loads(sys.argv[1])
    memory = Memory()
    async with Callback() as callback:
        numbers = itertools.count()

        async def open_browser(url):
            say(event="open", number=next(numbers), url=url)

        for connection in asked["connections"]:
            memory.tokens = None
            provider = OAuthClientProvider(
                server_url=asked["url"],
                client_metadata=OAuthClientMetadata(
                    client_name="Unmodified client",
                    redirect_uris=[callback.url],
                ),
                storage=memory,
                redirect_handler=open_browser,
                callback_handler=callback.wait,
            )
            answers = await converse(asked["url"], provider, connection["steps"])
            say(event="answers", answers=answers, scope=memory.tokens.scope)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))
