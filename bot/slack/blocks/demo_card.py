"""The card of one step of the demo, and what is answered about it."""

from dataclasses import dataclass

from bot.channel import Block, Message
from bot.slack.blocks import limits

START = "demo.start"
NEXT = "demo.next"
END = "demo.end"


@dataclass(frozen=True)
class DemoView:
    """One step as its card shows it."""

    pointer: str
    """What its buttons point at."""
    place: str
    """Which step of how many."""
    title: str
    serves: str
    typed: str
    happens: str
    look: str
    again: str
    state: str
    """`open`, `started`, `passed` or `stopped`."""


def demo_card(view: DemoView) -> Message:
    """What to type, what will happen, what to look at; buttons only while it is this step's turn."""
    heading = f"Demo {view.place} · {view.title}"
    blocks: list[Block] = [
        limits.header(heading),
        limits.section(f"Type `{limits.escape(view.typed)}`, or press the button: it is asked in your name."),
        limits.section(f"*What will happen.* {view.happens}"),
        limits.section(f"*Look at.* {view.look}"),
        limits.context(*[text for text in (f"For {view.serves}", view.again) if text]),
    ]
    if view.state in ("open", "started"):
        blocks.append(_buttons(view))
    else:
        blocks.append(limits.context("The demo was stopped here." if view.state == "stopped" else "Passed."))
    return Message(f"{heading}: {limits.escape(view.typed)}", blocks)


def _buttons(view: DemoView) -> Block:
    start = [limits.button("Start it", START, view.pointer, style="primary")] if view.state == "open" else []
    after = "" if start else "primary"
    return limits.actions(
        *start, limits.button("Next", NEXT, view.pointer, style=after), limits.button("Stop", END, view.pointer)
    )


def not_here(command: str) -> str:
    """Says where the demo belongs."""
    return (
        "The demo walks through the sample company, which only the local workspace has (`make up`). Here, look at what"
        f" I can do with `{limits.escape(command)} help`. Nothing was started."
    )


def nothing_to_show() -> str:
    """Says that none of the demo's workflows is installed."""
    return "None of the demo's workflows is installed here, so there is nothing to show. Nothing was started."


def none_under_way(command: str) -> str:
    """Says how a demo begins."""
    return f"You are in no demo. `{limits.escape(command)} demo` begins one."


def where_you_are(place: str, command: str) -> str:
    """Says how far a demo is, and how it goes on."""
    own = limits.escape(command)
    return f"You are at step {place} of the demo. `{own} demo next` goes on, `{own} demo stop` ends it."


def not_yours(command: str) -> str:
    """Says that a demo is one person's."""
    return f"This demo is somebody else's. `{limits.escape(command)} demo` begins one of your own. Nothing was started."


def has_gone_on() -> str:
    """Says that a button is past."""
    return "This demo has gone on since. Nothing was started."


def stopped(command: str) -> str:
    """Says that a demo is over, and what of it is not."""
    own = limits.escape(command)
    return f"The demo is over; what it started goes on (`{own} status`). `{own} demo` begins anew."


def ended(command: str) -> str:
    """The last word of a demo."""
    own = limits.escape(command)
    return (
        f"That was all of it. What waits for you: `{own} approvals`. What can be said: `{own} help`. The same in depth:"
        f" docs/tutorial.md. `{own} demo` walks again with other orders; `make reset` gives a fresh company."
    )
