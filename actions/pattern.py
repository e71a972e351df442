"""Which actions a file means: one by its name, a family such as `payment.*`, or all with `*`."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

#: How the actions begin that MCP servers offer: which they are is known only while the server answers.
OFFERED = "mcp."


def covers(pattern: str, action: str) -> bool:
    """True when `pattern` (a name, `payment.*` or `*`) is about the action called `action`."""
    return action.startswith(pattern[:-1]) if pattern.endswith("*") else action == pattern


def may_mean(pattern: str, actions: Iterable[str]) -> bool:
    """True when `pattern` is about one of these actions, or about what an MCP server may offer some other day."""
    return pattern.startswith(OFFERED) or any(covers(pattern, action) for action in actions)


def _checked(value: str) -> str:
    if re.fullmatch(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?", value) is None:
        raise ValueError(f"{value!r} is not an action. Write a name such as payment.refund, or payment.*, or *.")
    return value


Pattern = Annotated[str, AfterValidator(_checked)]
"""One or more actions, as people write them in a file."""
