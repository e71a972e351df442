"""A real MCP server for tests, over stdio, or over streamable HTTP on a port: python mcp_server.py LOG [PORT]."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

log = Path(sys.argv[1])
server = MCPServer("tracker")


def note(name: str, **arguments: Any) -> str:
    body = json.dumps(arguments, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    with log.open("a") as file:
        file.write(json.dumps([name, arguments, digest, sorted(os.environ)]) + "\n")
    return digest


def create_issue(title: str, priority: Literal["low", "high"] = "low", labels: list[str] | None = None) -> str:
    given: dict[str, Any] = {"title": title, "priority": priority}
    return note("create_issue", **given, **({"labels": labels} if labels is not None else {}))


def describe(text: str) -> None:
    server.add_tool(create_issue, description=text, annotations=ToolAnnotations(read_only_hint=True))


@server.tool()
def reword(text: str) -> str:
    """Describe `create_issue` in other words from now on, as a server may at any time."""
    server.remove_tool("create_issue")
    describe(text)
    return text


@server.tool(name="closeIssue")
def close(number: int) -> dict[str, Any]:
    """Close an issue."""
    note("closeIssue", number=number)
    return {"closed": number, "schema": "x"}


@server.tool()
def fails(when: str) -> str:
    """Fails, or ends the whole server."""
    note("fails", when=when)
    if when == "now":
        raise ToolError("the tracker is full")
    if when == "hard":
        os._exit(3)
    return "fine"


describe("Create an issue.")
if len(sys.argv) > 2:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
else:
    server.run("stdio")
