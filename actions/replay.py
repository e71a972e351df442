"""Replays what was judged under other rules: the same facts, and the past as it was at that moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actions import history
from actions.condition import Considered
from actions.history import Judgement
from actions.policy import Decision, Rules, decide, needs_of
from actions.teammates import TEAMMATE
from core.db import Connection


@dataclass(frozen=True)
class Replayed:
    """One judgement as it was, and what the other rules would have said."""

    then: Judgement
    now: Decision


async def replay(conn: Connection, rules: Rules, judgements: Sequence[Judgement]) -> list[Replayed]:
    """Every judgement under `rules`, oldest first; without those that no rule gave, but what a teammate may do."""
    return [Replayed(then, await _again(conn, rules, then)) for then in judgements if TEAMMATE not in then.rules]


async def _again(conn: Connection, rules: Rules, then: Judgement) -> Decision:
    """Windows that nobody asked about then are counted now, up to that moment; who the requester was stays."""
    considered, needs = Considered.from_json(then.considered), needs_of(rules.policy, then.subject.action)
    at = considered.at or then.at
    if needs.windows:
        considered = replace(considered, windows=await history.tallies(conn, needs.windows, then.subject, at))
    if needs.first_time:
        considered = replace(considered, first_time_recipient=await history.is_first_time(conn, then.subject, at))
    return decide(rules.policy, considered, rules.version)
