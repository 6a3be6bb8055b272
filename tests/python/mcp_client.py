"""Plays an agent with the official MCP SDK, of either generation.

Reads one JSON object from standard input:

    {"url": ..., "token": ... | null, "steps": [{"list": true} |
     {"call": NAME, "arguments": {...}}, ...]}

and prints a JSON list with one answer for each step:

    {"tools": [{"name": ..., "meta": {...}}, ...]}
    {"is_error": bool, "text": ..., "meta": {...}}
    {"http": {"status": ..., "challenge": ..., "body": ...}}

The last form stands for an answer that the SDK turns into an exception; it is
read from the response itself, so that nothing of it is lost.
"""

import asyncio
import json
import sys


class LastRefusal:
    """Remembers the last answer that was not a success."""

    def __init__(self):
        self.answer = None

    async def on_response(self, response):
        # The stream for server messages and the closing of a session are
        # optional; a server without sessions answers both with 405.
        if response.status_code >= 400 and response.request.method == "POST":
            body = (await response.aread()).decode("utf-8", "replace")
            self.answer = {
                "status": response.status_code,
                "challenge": response.headers.get("www-authenticate"),
                "body": body,
            }


def as_plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def take_steps(session, steps, refusal, answers):
    for step in steps:
        refusal.answer = None
        if "list" in step:
            listed = as_plain(await session.list_tools())
            tools = [{"name": t["name"], "meta": t.get("_meta", {}), "tool": t} for t in listed["tools"]]
            answers.append({"tools": tools})
        else:
            result = as_plain(await session.call_tool(step["call"], step.get("arguments", {})))
            text = "\n".join(c["text"] for c in result.get("content", []) if c.get("type") == "text")
            answers.append(
                {
                    "is_error": bool(result.get("isError", False)),
                    "text": text,
                    "meta": result.get("_meta", {}),
                    "structured": result.get("structuredContent"),
                }
            )


async def with_first_sdk(url, headers, steps, refusal, answers):
    import httpx
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    hooks = {"response": [refusal.on_response]}
    async with httpx.AsyncClient(headers=headers, event_hooks=hooks, timeout=15, trust_env=False) as client:
        async with streamable_http_client(url, http_client=client) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                await take_steps(session, steps, refusal, answers)


async def with_second_sdk(url, headers, steps, refusal, answers):
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    hooks = {"response": [refusal.on_response]}
    async with httpx2.AsyncClient(headers=headers, event_hooks=hooks, timeout=15, trust_env=False) as client:
        transport = streamable_http_client(url, http_client=client)
        async with Client(transport, mode="2026-07-28") as session:
            await take_steps(session, steps, refusal, answers)


async def main():
    asked = json.load(sys.stdin)
    headers = {"Authorization": "Bearer " + asked["token"]} if asked.get("token") else {}
    try:
        import httpx2  # noqa: F401  comes with the second generation only

        play = with_second_sdk
    except ImportError:
        play = with_first_sdk
    refusal = LastRefusal()
    answers = []
    try:
        await asyncio.wait_for(play(asked["url"], headers, asked["steps"], refusal, answers), 30)
    except BaseException:
        if refusal.answer is None:
            raise
    # A refused step ends the conversation; every later step shares its answer.
    while len(answers) < len(asked["steps"]):
        answers.append({"http": refusal.answer})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
