"""A writer for the scripted model that keeps the rules it is given, and nothing else in mind."""

import json
import re
from typing import Any

from tests.support.scripted_model import Reply, fields_of

BRIEF = (
    "Title: Caring for a wooden board\nAudience: home cooks\n"
    "Points: wash it by hand; oil it once a month; dry it upright\nA post on how to care for a wooden cutting board"
)
#: What the writer would say if nobody stopped it: everything that people here will object to.
_WILD = (
    "# Caring for a wooden board\n\n"
    "Leverage your board's potential! Wash it by hand, never in the machine, because hot water and long soaking swell"
    " the fibres, lift the glue, open the joints and leave you with a board that has no flat side left to cut on.\n\n"
    "Oil it once a month! Dry it upright."
)


def written(asked: dict[str, Any]) -> Reply:
    """The draft that this request's rules and feedback lead to."""
    given = json.dumps(asked["messages"]).casefold()
    text = _WILD
    if "leverage" in given:
        text = text.replace("Leverage your board's potential", "Use your board well")
    if "exclamation" in given:
        text = text.replace("!", ".")
    if re.search(r"under \d+ words", given):
        text = text.replace(
            "Wash it by hand, never in the machine, because hot water and long soaking swell the fibres, lift the glue,"
            " open the joints and leave you with a board that has no flat side left to cut on.",
            "Wash it by hand. Hot water swells the fibres.",
        )
    return Reply(arguments=dict.fromkeys(fields_of(asked), text))
