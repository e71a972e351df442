"""An OpenAI-compatible server that says what a test scripted, faults included, and remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One scripted answer to a chat completion; `arguments` fill the tool that was asked for."""

    arguments: Json | str | None = None
    tool: str | None = None
    content: str | None = None
    finish: str = "stop"
    refusal: str | None = None
    status: int = 200
    body: str | None = None
    hang: bool = False
    tokens: tuple[int, int] = (100, 20)
    seconds: float = 0
    """How long it takes to answer."""
    trickle: bool = False
    """True: the answer comes a byte at a time and never ends."""


@dataclass
class ScriptedModel:
    """The server's script and memory."""

    url: str = ""
    script: list[Reply] = field(default_factory=list[Reply])
    asked: list[Json] = field(default_factory=list[Json])
    """The bodies of all requests for completions, oldest first."""
    elsewhere: list[str] = field(default_factory=list[str])
    """The paths of all other requests: nothing should come here."""
    keys: list[str] = field(default_factory=list[str])
    """The Authorization headers that came."""
    think: Callable[[Json], Reply] | None = None
    """Makes the answer to each request from its body, where no script is to be followed."""

    def will_say(self, *replies: Reply) -> None:
        """Answer the next requests like this; the last reply is repeated for ever."""
        self.script = list(replies)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        body: Json = await request.json()
        self.asked.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        if self.think is not None:
            reply = self.think(body)
        else:
            reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if reply.hang:
            await asyncio.sleep(60)
        await asyncio.sleep(reply.seconds)
        if reply.trickle:
            return await _trickle(request)
        if reply.body is not None:
            return web.Response(status=reply.status, text=reply.body)
        if reply.status != 200:
            return web.json_response({"error": {"message": "scripted", "type": "scripted"}}, status=reply.status)
        return web.json_response(_completion(reply, body))

    async def embed(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/embeddings: a vector of three numbers for each text, made of its letters."""
        body: Json = await request.json()
        self.asked.append(body)
        if self.script and self.script[0].status != 200:
            return web.json_response({"error": {"message": "scripted"}}, status=self.script[0].status)
        vectors = [[float(len(text)), float(text.count("e")), 1.0] for text in body["input"]]
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def other(self, request: web.Request) -> web.StreamResponse:
        """Any other address."""
        self.elsewhere.append(request.path)
        return web.json_response({}, status=404)


async def _trickle(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    for _ in range(1200):
        await answer.write(b" ")
        await asyncio.sleep(0.05)
    return answer


def fields_of(asked: Json) -> list[str]:
    """The fields that the answer to this request must have."""
    if "tools" in asked:
        return list(asked["tools"][0]["function"]["parameters"]["properties"])
    return list(asked["response_format"]["json_schema"]["schema"]["properties"])


def _completion(reply: Reply, asked: Mapping[str, Any]) -> Json:
    message: Json = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    if reply.arguments is not None and "tools" not in asked:
        text = reply.arguments if isinstance(reply.arguments, str) else json.dumps(reply.arguments)
        message["content"] = text
    elif reply.arguments is not None:
        name = reply.tool or asked["tools"][0]["function"]["name"]
        text = reply.arguments if isinstance(reply.arguments, str) else json.dumps(reply.arguments)
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}]
    tokens_in, tokens_out = reply.tokens
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }


@asynccontextmanager
async def open_scripted_model() -> AsyncGenerator[ScriptedModel]:
    """A scripted model that listens inside the block."""
    model = ScriptedModel()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    app.router.add_post("/v1/embeddings", model.embed)
    app.router.add_route("*", "/{path:.*}", model.other)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    model.url = f"http://{host}:{port}"
    try:
        yield model
    finally:
        await runner.cleanup()
