"""What can be said: all of it in brief, in the order people need it, and one verb or workflow in full."""

from collections.abc import Iterable, Mapping, Sequence

from bot.slack.blocks import limits

_MOST_EXAMPLES = 2
#: Every verb with what it is for; one that is not named here is listed last, by its name alone.
_BRIEF: Mapping[str, Mapping[str, str]] = {
    "Have something done": {
        "run": "start a workflow",
        "dry": "show what it would do; nothing is asked or sent",
        "ask": "the same in your own words",
        "schedule": "have it done again and again",
        "teach": "tell the inbox what a mail is about",
    },
    "See how it stands": {
        "status": "what is going on",
        "approvals": "what waits for you",
        "why": "how a run came to what it did",
        "cost": "what models cost",
    },
    "Stop it, or take it back": {
        "stop": "start nothing new in a run",
        "undo": "take back what a run did",
        "reopen": "ask again what nobody answered in time",
        "pause": "let nothing begin any more",
        "resume": "let it go on",
    },
    "When you are not there": {
        "away": "call me no more until then",
        "delegate": "let somebody answer in your place",
        "back": "I am here again",
    },
    "More": {
        "memory": "what the team remembers, and what it is to forget",
        "autonomy": "what runs alone because an admin granted it",
        "demo": "a walk through the sample company",
        "help": "and a name: how one of these is said in full",
    },
}
_SAID = {"dry": "dry run"}


def help_text(command: str, workflows: Mapping[str, str], verbs: Iterable[str]) -> str:
    """Everything that can be said, a line each; `workflows` maps each name to what it is for."""
    left = list(verbs)
    parts = [f"*What you can say* (or mention me and say the same in a thread). `{command} help run` says more of one."]
    for heading, briefs in _BRIEF.items():
        known = [verb for verb in briefs if verb in left]
        left = [verb for verb in left if verb not in known]
        lines = [f"• `{command} {_SAID.get(verb, verb)}` {briefs[verb]}" for verb in known]
        if lines:
            parts.append("\n".join([f"*{heading}*", *lines]))
    if left:
        parts.append("\n".join(f"• `{command} {limits.escape(verb)}`" for verb in left))
    return "\n".join([*parts, "", what_i_do(workflows)])


def what_i_do(workflows: Mapping[str, str]) -> str:
    """The workflows there are, with what each is for."""
    if not workflows:
        return "No workflow is installed yet."
    lines = "\n".join(f"• *{limits.escape(name)}* {limits.escape(what)}" for name, what in workflows.items())
    return f"*What I can do* (`run` and the name; `help` and the name says what it needs)\n{lines}"


def verb_help(command: str, usage: str) -> str:
    """How one verb is said in full, each of its ways on a line of its own."""
    verb, _, rest = usage.partition(" ")
    return _ways(command, verb, rest)


def workflow_help(command: str, name: str, purpose: str, usage: str, examples: Sequence[str]) -> str:
    """What one workflow is for, what it needs to be told, and how else it can be asked for."""
    asked = [f"• `{command} ask {limits.escape(each)}`" for each in examples[:_MOST_EXAMPLES]]
    own = ["Or in your own words:", *asked] if asked else []
    return "\n".join([f"*{limits.escape(name)}*: {limits.escape(purpose)}", _ways(command, f"run {name}", usage), *own])


def _ways(command: str, lead: str, usage: str) -> str:
    ways = [way.strip() for way in usage.split(" | ")]
    return "\n".join(f"• `{command} {limits.escape(f'{lead} {way}'.strip())}`" for way in ways)
