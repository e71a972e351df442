"""The Web API: tokens, scopes, faults and methods, answered as Slack answers them."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bot.local.workspace.call import Call, read_args
from bot.local.workspace.chat_methods import CHAT_METHODS
from bot.local.workspace.conversation_methods import CONVERSATION_METHODS
from bot.local.workspace.json_value import Json
from bot.local.workspace.parts import Parts
from bot.local.workspace.people_methods import PEOPLE_METHODS
from bot.local.workspace.refusal import Refusal
from bot.local.workspace.scopes import METHOD_SCOPES
from bot.local.workspace.view_methods import VIEW_METHODS

_METHODS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    **CHAT_METHODS,
    **CONVERSATION_METHODS,
    **PEOPLE_METHODS,
    **VIEW_METHODS,
}
_BOT_TOKEN = "xoxb-local"  # noqa: S105 -- the public token of a server that holds nothing of worth
_APP_TOKEN = "xapp-local"  # noqa: S105 -- the same
_CONNECT = "apps.connections.open"


class WebApi:
    """Answers /api/<method>: HTTP 200 with `ok`, or 429 with Retry-After."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        method = request.match_info["method"]
        limited = self._limited(method)
        if limited is not None:
            return limited
        try:
            args = await read_args(request)
            answer = {"ok": True, **await self._answer(request, method, args=args)}
        except Refusal as refusal:
            args, answer = {}, refusal.answer
        self._parts.changes.record(
            "from the bot", method, content={"arguments": _without_token(args), "answer": answer}
        )
        if self._parts.faults.strikes("lose_answer", method):
            return _cut_off(request)
        return web.json_response(answer, headers=self._headers())

    async def file(self, request: web.Request) -> web.Response:
        """GET /files-pri/{id}: an uploaded file, for a bot that may read files."""
        granted = "files:read" in self._parts.manifest.scopes
        kept = self._parts.store.file(request.match_info["id"])
        if kept is None or not granted or not _token(request, {}).startswith(_BOT_TOKEN):
            raise web.HTTPForbidden(text="A file is given to a bot that names its token and has files:read.")
        about, content = kept
        return web.Response(body=content, content_type=str(about["mimetype"]))

    def _limited(self, method: str) -> web.Response | None:
        faults = self._parts.faults
        if faults.strikes("rate_limit", method):
            self._parts.changes.record("from the bot", f"{method} (429 on purpose)", content={})
            return web.json_response(
                {"ok": False, "error": "ratelimited"},
                status=429,
                headers={"Retry-After": str(faults.retry_after)},
            )
        if faults.strikes("fail", method):
            self._parts.changes.record("from the bot", f"{method} (500 on purpose)", content={})
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        return None

    async def _answer(self, request: web.Request, method: str, *, args: Json) -> Json:
        token = _token(request, args)
        if not token:
            raise Refusal("not_authed")
        if method == _CONNECT:
            return self._connect(token)
        if not token.startswith(_BOT_TOKEN):
            raise Refusal("not_allowed_token_type" if token.startswith(_APP_TOKEN) else "invalid_auth")
        answer = _METHODS.get(method)
        if answer is None:
            raise Refusal("unknown_method", req_method=method)
        call = Call(args, self._parts)
        call.need(*METHOD_SCOPES.get(method, ()))
        return await answer(call)

    def _connect(self, token: str) -> Json:
        if not token.startswith(_APP_TOKEN):
            raise Refusal("not_allowed_token_type" if token.startswith(_BOT_TOKEN) else "invalid_auth")
        address = self._parts.url().replace("http://", "ws://", 1)
        app_id = self._parts.company.bot.app_id
        return {"url": f"{address}/link/?ticket={self._parts.socket.ticket()}&app_id={app_id}"}

    def _headers(self) -> dict[str, str]:
        return {
            "x-oauth-scopes": ",".join(sorted(self._parts.manifest.scopes)),
            "x-accepted-oauth-scopes": "",
        }


def _token(request: web.Request, args: Json) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else str(args.get("token") or "")


def _without_token(args: Json) -> Json:
    return {name: value for name, value in args.items() if name != "token"}


def _cut_off(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
