"""Checks of JSON against a declared shape, worded and addressed as Slack words and addresses them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.local.workspace.json_value import as_list, as_object

#: Looks at a value that stands at a JSON pointer and adds what is wrong with it to the findings.
Check = Callable[[Any, str, list[str]], None]


def finding(message: str, pointer: str) -> str:
    """One finding in Slack's words."""
    return f"[ERROR] {message} [json-pointer:{pointer}]"


def string(most: int, *, least: int = 1, pattern: str = "", choices: Sequence[str] = ()) -> Check:
    """A text of `least` to `most` characters, of a pattern or one of some choices."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, str):
            found.append(finding("must be a string", pointer))
        elif len(value) < least:
            found.append(finding(f"must be more than {least - 1} characters", pointer))
        elif len(value) > most:
            found.append(finding(f"must be less than {most + 1} characters", pointer))
        elif choices and value not in choices:
            found.append(finding(f"value must be one of {', '.join(choices)}", pointer))
        elif pattern and not re.fullmatch(pattern, value):
            found.append(finding("failed to match the required pattern", pointer))

    return check


def boolean(value: Any, pointer: str, found: list[str]) -> None:
    """True or false."""
    if not isinstance(value, bool):
        found.append(finding("must be a boolean", pointer))


def integer(least: int, most: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            found.append(finding("must be an integer", pointer))
        elif not least <= value <= most:
            found.append(finding(f"must be between {least} and {most}", pointer))

    return check


def anything(value: Any, pointer: str, found: list[str]) -> None:
    """No demand at all."""


def array(of: Check, *, most: int, least: int = 1) -> Check:
    """A list of `least` to `most` entries that each pass a check."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        entries = as_list(value)
        if entries is None:
            found.append(finding("must be an array", pointer))
            return
        if len(entries) < least:
            found.append(finding(f"no fewer than {least} items allowed", pointer))
        if len(entries) > most:
            found.append(finding(f"no more than {most} items allowed", pointer))
        for index, entry in enumerate(entries):
            of(entry, f"{pointer}/{index}", found)

    return check


def shape(required: Mapping[str, Check], optional: Mapping[str, Check], *, any_of: Sequence[str] = ()) -> Check:
    """An object with these keys and no others; of `any_of` at least one must be there."""
    fields = {**required, **optional}

    def check(value: Any, pointer: str, found: list[str]) -> None:
        given = as_object(value)
        if given is None:
            found.append(finding("must be an object", pointer))
            return
        found.extend(finding(f"missing required field: {name}", pointer) for name in required if name not in given)
        if any_of and not any(name in given for name in any_of):
            found.append(finding(f"must provide one of the following fields: {', '.join(any_of)}", pointer))
        for name, entry in given.items():
            if name not in fields:
                found.append(finding(f"invalid additional property: {name}", pointer))
            elif entry is not None or name in required:
                fields[name](entry, f"{pointer}/{name}", found)

    return check


def typed(table: Mapping[str, Check]) -> Check:
    """An object whose `type` says which of some checks it must pass."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        given = as_object(value)
        if given is None:
            found.append(finding("must be an object", pointer))
            return
        kind = given.get("type")
        if kind is None:
            found.append(finding("missing required field: type", pointer))
        elif str(kind) not in table:
            found.append(finding(f"unsupported type: {kind}", f"{pointer}/type"))
        else:
            table[str(kind)](given, pointer, found)

    return check


def text_object(most: int, *, mrkdwn: bool = True) -> Check:
    """A Slack text object of 1 to `most` characters, plain where Slack takes no formatting."""
    plain = shape({"type": anything, "text": string(most)}, {"emoji": boolean})
    marked = shape({"type": anything, "text": string(most)}, {"verbatim": boolean})
    return typed({"plain_text": plain, "mrkdwn": marked} if mrkdwn else {"plain_text": plain})
