"""What a person may say to the team, parsed: every text has a result, and no result does anything by itself."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches


@dataclass(frozen=True)
class StartRun:
    """Run this workflow with these words; dry: only show what would happen."""

    workflow: str
    text: str
    dry: bool = False


@dataclass(frozen=True)
class Ask:
    """Find out which workflow these words mean, and run it."""

    text: str
    dry: bool = False


@dataclass(frozen=True)
class ShowStatus:
    """Tell how one run stands, or the latest ones."""

    run_id: str | None


@dataclass(frozen=True)
class ShowApprovals:
    """Tell what waits for the person who asks."""


@dataclass(frozen=True)
class StopRun:
    """Stop this run."""

    run_id: str


@dataclass(frozen=True)
class AddSchedule:
    """Start this workflow by the rule in time that `rule` begins with, with the words after it."""

    workflow: str
    rule: str


@dataclass(frozen=True)
class ListSchedules:
    """Tell which schedules there are."""


@dataclass(frozen=True)
class ChangeSchedule:
    """Pause, resume or remove a schedule."""

    change: str
    schedule_id: str


@dataclass(frozen=True)
class Pause:
    """Let nothing of this begin any more; the workspace has no name of its own."""

    kind: str
    name: str
    because: str


@dataclass(frozen=True)
class Resume:
    """Let this go on."""

    kind: str
    name: str


@dataclass(frozen=True)
class Further:
    """A verb that has a desk of its own, with the words after it."""

    verb: str
    text: str


@dataclass(frozen=True)
class ShowHelp:
    """Tell what can be said; with the name of a verb or a workflow, that one in full."""

    about: str = ""


@dataclass(frozen=True)
class Incomplete:
    """A known verb without what it needs; `usage` is how it is said in full."""

    verb: str
    usage: str


@dataclass(frozen=True)
class Unknown:
    """Not a verb; `nearest` is the one that was probably meant."""

    said: str
    nearest: str | None


Command = (
    StartRun
    | Ask
    | ShowStatus
    | ShowApprovals
    | StopRun
    | AddSchedule
    | ListSchedules
    | ChangeSchedule
    | Pause
    | Resume
    | Further
    | ShowHelp
    | Incomplete
    | Unknown
)

#: Each verb with how it is said, in the order help shows them.
USAGE: dict[str, str] = {
    "run": "run <workflow> <what it needs> [--dry]",
    "dry": "dry run <workflow> <what it needs>",
    "ask": "ask <what you want, in your words>",
    "status": "status [run]",
    "approvals": "approvals",
    "stop": "stop <run>",
    "schedule": "schedule add <workflow> <when>: <what it needs> | list | pause <id> | resume <id> | remove <id>",
    "pause": "pause [workflow|action|connector <name>] [because <reason>]",
    "resume": "resume [workflow|action|connector <name>]",
    "help": "help [verb or workflow]",
}
ADD_USAGE = "schedule add <workflow> <when>: <what it needs>"
CHANGES = ("pause", "resume", "remove")
#: What can be paused by name, and the words for all of it.
PAUSABLE = ("workflow", "action", "connector")
_EVERYTHING = frozenset({"everything", "all", "workspace"})

# Phones make one long dash of two short ones.
_DRY = re.compile(r"(?<!\s)\s*(?<!\S)[-–—]{1,2}dry(?:[-_]?run)?(?!\S)\s*", re.IGNORECASE)

# What phones and word processors make of quotes.
_STRAIGHT = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})


def parse(text: str, further: Collection[str] = ()) -> Command:
    """What `text` asks for, `further` being the verbs with desks of their own; never fails and never does anything."""
    verb, rest = _first_word(text.translate(_STRAIGHT))
    if not verb:
        return ShowHelp()
    reader = _READERS.get(verb.lower())
    if reader is not None:
        return reader(rest)
    if verb.lower() in further:
        return Further(verb.lower(), rest)
    return Unknown(verb, nearest(verb.lower(), [*USAGE, *further]))


def nearest(said: str, known: list[str]) -> str | None:
    """The known word that `said` was probably meant to be, if any is close."""
    found = get_close_matches(said, known, n=1, cutoff=0.6)
    return found[0] if found else None


def _first_word(text: str) -> tuple[str, str]:
    parts = text.strip().split(maxsplit=1)
    return (parts[0] if parts else "", parts[1].strip() if len(parts) > 1 else "")


def _id(rest: str) -> str:
    """The first word without the decoration people copy along with an id."""
    return _first_word(rest)[0].strip("`*_.,;'\"<>")


def _run(rest: str) -> Command:
    rest, dry = _without_flag(rest)
    workflow, text = _first_word(rest)
    return StartRun(workflow.lower().rstrip(":"), text, dry) if workflow else Incomplete("run", USAGE["run"])


def _ask(rest: str) -> Command:
    rest, dry = _without_flag(rest)
    return Ask(rest, dry) if rest else Incomplete("ask", USAGE["ask"])


def _without_flag(rest: str) -> tuple[str, bool]:
    """The words without `--dry`, and whether it was there: anywhere, for who says it must never get a live run."""
    text, found = _DRY.subn(" ", rest)
    return (text.strip(), True) if found else (rest, False)


def _dry(rest: str) -> Command:
    verb, more = _first_word(rest)
    asked = _READERS[verb.lower()](more) if verb.lower() in ("run", "ask") else None
    return replace(asked, dry=True) if isinstance(asked, StartRun | Ask) else Incomplete("dry", USAGE["dry"])


def _status(rest: str) -> Command:
    return ShowStatus(_id(rest) or None)


def _stop(rest: str) -> Command:
    return StopRun(_id(rest)) if _id(rest) else Incomplete("stop", USAGE["stop"])


def _schedule(rest: str) -> Command:
    what, more = _first_word(rest)
    what = what.lower()
    if what in ("", "list"):
        return ListSchedules()
    if what == "add":
        return _add(more)
    if what in CHANGES:
        return ChangeSchedule(what, _id(more)) if _id(more) else Incomplete("schedule", f"schedule {what} <id>")
    return Incomplete("schedule", USAGE["schedule"])


def _add(rest: str) -> Command:
    if _DRY.search(rest):
        return Incomplete("schedule", f"{ADD_USAGE}, without --dry: a schedule starts live runs only")
    workflow, rule = _first_word(rest)
    return AddSchedule(workflow.lower(), rule) if rule else Incomplete("schedule", ADD_USAGE)


def _pause(rest: str) -> Command:
    kind, name, more = _target(rest)
    word, because = _first_word(more)
    if not kind or (word and word.lower().rstrip(":") != "because"):
        return Incomplete("pause", USAGE["pause"])
    return Pause(kind, name, because.rstrip("."))


def _resume(rest: str) -> Command:
    kind, name, more = _target(rest)
    return Resume(kind, name) if kind and not more else Incomplete("resume", USAGE["resume"])


def _target(rest: str) -> tuple[str, str, str]:
    """What is to be paused or resumed, and the words after it; an empty kind where its name is missing."""
    word, more = _first_word(rest)
    if word.lower() in PAUSABLE:
        name, after = _first_word(more)
        name = name.strip("`_.,;'\"<>")
        return (word.lower(), name, after) if name and name.lower() != "because" else ("", "", "")
    return "workspace", "", more if word.lower() in _EVERYTHING else rest


_READERS: dict[str, Callable[[str], Command]] = {
    "run": _run,
    "dry": _dry,
    "ask": _ask,
    "status": _status,
    "approvals": lambda rest: ShowApprovals(),
    "stop": _stop,
    "schedule": _schedule,
    "schedules": _schedule,
    "pause": _pause,
    "resume": _resume,
    "help": lambda rest: ShowHelp(_id(rest).lower()),
}
