"""`countersign policy`: checks files, explains runs, replays the past, restores earlier rules. It approves nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from pathlib import Path

from actions import history, rules_store
from actions.intent import short
from actions.looseness import Kind, kind_of
from actions.policy import Rules
from actions.policy_file import FILES, Texts
from actions.replay import Replayed, replay
from actions.rule_change import compare
from actions.rule_file import PolicyInvalid, text_of
from actions.rules_keeper import Offer
from bot.extending import catalogue_of
from bot.local.home import using
from bot.rules_watch import offer_of, read_offer
from bot.settings import Settings
from bot.up import running_stores
from core.clock import Clock
from core.db import Database, DatabaseError, is_untouched, open_database
from core.errors import Refused

_MOST_SHOWN = 20
_FIRST = "No rules are in force yet; these will be at the next start."


class NeverStarted(Refused):
    """The database has none of our tables, so there is nothing to look up."""


@asynccontextmanager
async def _database(settings: Settings, clock: Clock) -> AsyncGenerator[Database]:
    try:
        async with running_stores(settings, clock) as stores, open_database(stores.database_url, min_size=1) as opened:
            yield opened
    except DatabaseError as error:
        if not is_untouched(error):
            raise
        raise NeverStarted("Nothing was ever started on this database, so nothing was judged yet. Start it.") from error


async def check(settings: Settings, clock: Clock) -> list[str]:
    """Whether the files may be put in force, and how they compare with what is; raises PolicyInvalid."""
    offer = read_offer(settings.company, catalogue_of(settings.company).names())
    lines = [f"The files are good: version {offer.rules.version}, {len(offer.rules.policy.tests)} tests passed."]
    return [*lines, *await compared(settings, clock, offer)]


async def compared(settings: Settings, clock: Clock, offer: Offer) -> list[str]:
    """How these files compare with what is in force, and whether they wait for people."""
    try:
        async with _database(settings, clock) as database:
            return await _compared(settings, database, offer)
    except NeverStarted:
        return [_FIRST]


async def _compared(settings: Settings, database: Database, offer: Offer) -> list[str]:
    async with database.connection() as conn:
        version = await rules_store.version_in_force(conn, offer.rules.team.workspace)
        found = None if version is None else await rules_store.texts_of(conn, version)
    if version is None or found is None:
        return [_FIRST]
    if version == offer.rules.version:
        return ["They are in force."]
    differences = compare(offer_of(found[1], None).rules, offer.rules, catalogue_of(settings.company).names())
    kind = kind_of(differences)
    wait = " They wait until two admins (or the only one) agree in Slack, or for COUNTERSIGN_ACCEPT_LOOSER_RULES."
    lines = [f"In force is {short(version)}. These are {kind}.{wait if kind is Kind.LOOSENED else ''}"]
    return [*lines, *(f"  {each.kind}: {each.text}" for each in differences[:_MOST_SHOWN])]


async def explain(settings: Settings, clock: Clock, run_id: str) -> list[str]:
    """Which rules judged each effect of one run, and on what ground."""
    async with _database(settings, clock) as database, database.connection() as conn:
        rows = await history.judgements(conn, run_id=run_id, limit=1000)
    if not rows:
        return [f"Nothing of a run {run_id} was judged. `countersign runs` lists the runs."]
    lines: list[str] = []
    for row in rows:
        lines.append(f"{row.step}: {row.summary}")
        lines.append(f"  {row.verdict} by {', '.join(row.rules)}, under rules {short(row.policy_version)}")
        lines += [f"  {reason}" for reason in row.reasons]
        lines.append(f"  it then: {row.outcome}")
    return lines


async def simulate(settings: Settings, clock: Clock, file: Path) -> list[str]:
    """What the rules in this policy file would have said to everything that was judged so far."""
    texts = replace(Texts.of(settings.company), policy=text_of(file))
    rules: Rules = offer_of(texts, catalogue_of(settings.company).names()).rules
    async with _database(settings, clock) as database, database.connection() as conn:
        rows = await history.judgements(conn, run_id=None, limit=100_000)
        return told(await replay(conn, rules, rows))


def told(replayed: Sequence[Replayed]) -> list[str]:
    """The sum of a replay in words, and each effect that would have come out otherwise."""
    alone = [each for each in replayed if each.now.verdict == "allow"]
    rejected = [each for each in alone if each.then.outcome == "rejected"]
    counts: Mapping[str, int] = {
        word: sum(each.now.verdict == verdict for each in replayed)
        for word, verdict in (("would have asked", "require_approval"), ("would have been denied", "deny"))
    }
    were = "was" if len(rejected) == 1 else "were"
    lines = [
        f"{len(alone)} of {len(replayed)} would have been automatic, {len(rejected)} of them {were} rejected.",
        *(f"{number} {word}." for word, number in counts.items()),
    ]
    changed = [each for each in replayed if each.now.verdict != each.then.verdict]
    lines += [f"  {_line(each)}" for each in changed[:_MOST_SHOWN]]
    return [*lines, *([f"  … and {len(changed) - _MOST_SHOWN} more"] if len(changed) > _MOST_SHOWN else [])]


def _line(each: Replayed) -> str:
    now = f"{each.now.verdict} by {', '.join(each.now.rules)}"
    return f"{each.then.run_id} {each.then.summary}: {each.then.verdict} became {now} (it then: {each.then.outcome})"


async def versions(settings: Settings, clock: Clock, limit: int) -> list[dict[str, object]]:
    """The newest changes of the rules, newest first."""
    async with _database(settings, clock) as database, database.connection() as conn:
        return await rules_store.recent_changes(conn, limit)


async def rollback(settings: Settings, clock: Clock, version: str) -> list[str]:
    """Write the files of an earlier version back; they then come into force as any edited files do."""
    async with _database(settings, clock) as database:
        async with database.connection() as conn:
            found = await rules_store.texts_of(conn, version)
        if found is None:
            raise Refused(f"There is no single version {version}. `countersign policy list` shows them.")
        offer = offer_of(found[1], catalogue_of(settings.company).names())
        if offer.rules.version != found[0]:
            raise PolicyInvalid(f"This release reads version {short(found[0])} differently. Edit the files instead.")
        lines = await _compared(settings, database, offer)
    for name, text in zip(FILES, astuple(found[1]), strict=True):
        path = settings.company / name
        with using(path):
            path.write_text(text, encoding="utf-8")
    return [f"The files are those of version {short(found[0])} again.", *lines]
