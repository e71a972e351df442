"""What people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import commands
from bot.commands import (
    AddSchedule,
    Ask,
    ChangeSchedule,
    Command,
    Incomplete,
    ListSchedules,
    Pause,
    Resume,
    ShowApprovals,
    ShowHelp,
    ShowStatus,
    StartRun,
    StopRun,
    Unknown,
    parse,
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("run returns #W1002 the headphones", StartRun("returns", "#W1002 the headphones")),
        ("RUN Returns", StartRun("returns", "")),
        ("run returns: #W1002", StartRun("returns", "#W1002")),
        ("run", Incomplete("run", commands.USAGE["run"])),
        ("run returns #W1 --dry", StartRun("returns", "#W1", dry=True)),
        ("run --dry returns #W1", StartRun("returns", "#W1", dry=True)),
        ("run returns #W1 —DRY because", StartRun("returns", "#W1 because", dry=True)),
        ("run returns #W1 -dry-run", StartRun("returns", "#W1", dry=True)),
        ("run returns a dry-cleaned coat", StartRun("returns", "a dry-cleaned coat")),
        ("run --dry", Incomplete("run", commands.USAGE["run"])),
        ("dry run returns #W1", StartRun("returns", "#W1", dry=True)),
        ("Dry ask send #W1 back", Ask("send #W1 back", dry=True)),
        ("ask send #W1 back --dry", Ask("send #W1 back", dry=True)),
        ("dry", Incomplete("dry", commands.USAGE["dry"])),
        ("dry run", Incomplete("dry", commands.USAGE["dry"])),
        ("dry stop run_0123456789", Incomplete("dry", commands.USAGE["dry"])),
        ("ask send #W1002 back", Ask("send #W1002 back")),
        ("ask", Incomplete("ask", commands.USAGE["ask"])),
        ("status", ShowStatus(None)),
        ("status `run_0123456789`", ShowStatus("run_0123456789")),
        ("approvals", ShowApprovals()),
        ("stop run_0123456789.", StopRun("run_0123456789")),
        ("stop", Incomplete("stop", commands.USAGE["stop"])),
        ("pause", Pause("workspace", "", "")),
        ("PAUSE because prices are wrong.", Pause("workspace", "", "prices are wrong")),
        ("pause everything because fire", Pause("workspace", "", "fire")),
        ("pause action `payment.refund` because: fire", Pause("action", "payment.refund", "fire")),
        ("pause action payment.*", Pause("action", "payment.*", "")),
        ("pause connector shop", Pause("connector", "shop", "")),
        ("pause payment.refund", Incomplete("pause", commands.USAGE["pause"])),
        ("pause action", Incomplete("pause", commands.USAGE["pause"])),
        ("pause action because fire", Incomplete("pause", commands.USAGE["pause"])),
        ("resume", Resume("workspace", "")),
        ("resume workflow returns", Resume("workflow", "returns")),
        ("resume later", Incomplete("resume", commands.USAGE["resume"])),
        (
            "schedule add returns every weekday at 09:00: sweep",
            AddSchedule("returns", "every weekday at 09:00: sweep"),
        ),
        ("schedule add returns “0 9 * * 1-5”", AddSchedule("returns", '"0 9 * * 1-5"')),
        ("schedule add returns", Incomplete("schedule", commands.ADD_USAGE)),
        ("schedule", ListSchedules()),
        ("schedule list", ListSchedules()),
        ("schedule pause sch_01234567", ChangeSchedule("pause", "sch_01234567")),
        ("schedule resume sch_01234567", ChangeSchedule("resume", "sch_01234567")),
        ("schedule remove sch_01234567", ChangeSchedule("remove", "sch_01234567")),
        ("schedule remove", Incomplete("schedule", "schedule remove <id>")),
        ("schedule explode", Incomplete("schedule", commands.USAGE["schedule"])),
        ("help", ShowHelp()),
        ("help Returns", ShowHelp("returns")),
        ("help `schedule`", ShowHelp("schedule")),
        ("", ShowHelp()),
        ("  \n ", ShowHelp()),
        ("aprovals", Unknown("aprovals", "approvals")),
        ("xyzzy now", Unknown("xyzzy", None)),
    ],
)
def test_a_text_means_one_command(said: str, meant: Command) -> None:
    assert parse(said) == meant


@given(st.text(max_size=300))
def test_every_text_means_something(said: str) -> None:
    assert isinstance(parse(said), Command)


@given(st.sampled_from(sorted(commands.USAGE)), st.text(max_size=100))
def test_a_known_verb_is_never_unknown_whatever_follows(verb: str, rest: str) -> None:
    assert not isinstance(parse(f"{verb} {rest}"), Unknown)
