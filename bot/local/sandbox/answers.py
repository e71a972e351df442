"""How an outside system of the sandbox answers: JSON that always says it is the sandbox."""

import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

_LOG = logging.getLogger(__name__)

Json = dict[str, Any]


class Declined(Exception):
    """The outside system will not do what it was asked; nothing was applied."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def answer(
    payload: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer labelled `"sandbox": true`."""
    return web.json_response({"sandbox": True, **payload}, status=status, headers=headers)


@web.middleware
async def answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal, of ours or of aiohttp's router, into a labelled JSON answer."""
    try:
        return await handler(request)
    except Declined as declined:
        return answer({"error": declined.code, "message": declined.message}, status=declined.status)
    except web.HTTPException as refusal:
        code = refusal.reason.lower().replace(" ", "_")
        message = f"{request.method} {request.path}: {refusal.reason}."
        return answer({"error": code, "message": message}, status=refusal.status)
    except sqlite3.Error as error:
        _LOG.error("the sandbox could not use its database for %s: %s", request.path, error)
        message = "The sandbox could not use its database; nothing was applied. Try again."
        return answer({"error": "unavailable", "message": message}, status=503)
