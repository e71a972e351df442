"""The walk through the sample company, step by step: what to type, what will happen, what to look at."""

from dataclasses import dataclass

SHOP = "the shop of three"
WRITER = "the one who writes alone"
SECURITY = "the security team"
ALL = "everybody"


@dataclass(frozen=True)
class Step:
    """One thing to try; `words` has one wording for each walk, so that the next one finds an order of its own."""

    title: str
    serves: str
    workflow: str
    words: tuple[str, ...]
    happens: str
    look: str
    again: str = ""
    """What a later walk finds instead."""

    def said(self, walk: int) -> str:
        """The words of this walk."""
        return self.words[walk % len(self.words)]

    def typed(self, walk: int) -> str:
        """What a person types after the command for the same."""
        return f"run {self.workflow} {self.said(walk)}".strip()


_TAKEN = "When every order of the demo has been sent back once, the rulebook refuses: one return per order."

GUIDE: tuple[Step, ...] = (
    Step(
        "Something small runs alone",
        SHOP,
        "returns",
        (
            "#W1005 notebook set because it is the wrong one",
            "#W2041 tea kettle because it is too small",
            "#W2065 coffee mug because it is the wrong one",
        ),
        "A return under 50 USD is recorded and refunded at once; nobody is asked.",
        "One card, edited in place: plan, steps, how it ended. The amount comes from the order, never from words.",
        _TAKEN,
    ),
    Step(
        "Something larger asks",
        SHOP,
        "returns",
        (
            "#W1010 rain jacket because it is too large",
            "#W2086 espresso machine because it is too loud",
            "#W2092 bedside table because it is too high",
        ),
        "A refund above 50 USD waits for an approver; the card in its thread shows exactly what would be sent.",
        "Press Approve as yourself: who asked may not agree. Act as *Ben* at the top of the page and press it again.",
        _TAKEN,
    ),
    Step(
        "A week of mail",
        SHOP,
        "inbox",
        ("sweep",),
        "Each mail gets a thread: thanks and newsletters are filed, returns are handed on, answers wait for a person.",
        "The mail that gives orders to the team moves nothing, and a forged one gets no refund without a person.",
        "The mailbox was swept before, so nothing new is begun.",
    ),
    Step(
        "What competitors ask",
        SHOP,
        "pricewatch",
        ("",),
        "A price that moves by up to 5 USD is changed alone; one that moves by more waits for *Cleo*.",
        "The report: what was read on which page, and why a price stays. Floor, ceiling and margin are the rulebook's.",
        "Prices that have moved already stay where they are.",
    ),
    Step(
        "A brief becomes a post",
        WRITER,
        "content",
        (
            "How to choose a desk lamp; Audience: people who work at home; Points: light, height, price",
            "How to care for a cutting board; Audience: people who cook; Points: oil, water, knives",
            "How to pack a rain jacket; Audience: people who hike; Points: size, weight, drying",
        ),
        "Without a model the team says that a person must write, and gathers what they need; with one it drafts.",
        "Paste a text in its thread, say “never say cheap”, then `publish`: the rule is kept for every later draft, and"
        " *Ben* approves the post once.",
        "A brief that is in hand or published already is refused with its run.",
    ),
    Step(
        "A week of alerts",
        SECURITY,
        "alerts",
        ("",),
        "1,200 alerts become a few cases. For the critical one it is asked whether to isolate the host.",
        "Its card names the trusted records that speak for it. Act as *Cleo* to approve; no alert's own words count.",
        "The sensor has written nothing since the last reading, and it says so.",
    ),
    Step(
        "What happened, what waits, what it cost",
        ALL,
        "digest",
        ("7 days",),
        "A digest of everything the team did here, from the ledger.",
        "Take a run's id from its card: `why <run>` explains it to the last byte, `undo <run>` takes it back.",
    ),
)
