"""The gateway over a real database, with an outside system that keeps its own log: the oracle of what happened."""

import asyncio
import functools
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from actions.action import Catalogue
from actions.approval import Answer, Click, Standing
from actions.approvals import Approvals
from actions.catalogue.payment_refund import Refund
from actions.circle import Members, nobody_known
from actions.connector import (
    Contested,
    EffectClass,
    Inconclusive,
    Outbound,
    OutcomeUnknown,
    Rejected,
    Reply,
    StillOpen,
    Unreachable,
)
from actions.doubts import Doubts
from actions.edits import Edits
from actions.gateway import Gateway
from actions.intent import Origin, Record, TrustLabel
from actions.judging import Judge
from actions.outcome import Caller, Consent, Outcome, Parked
from actions.policy import Policy, Rule, Rules
from actions.questions import Questions
from actions.rule_file import read
from actions.rulebook import Rulebook
from actions.team import Approvers, Member, Team
from actions.wishes import Wishes
from bot.slack.blocks.approval_card import answered_text, asked_text
from core.clock import SettableClock
from core.db import Connection, Database
from core.ids import RunId, new_run_id
from core.metrics import Metrics
from core.money import Money
from core.outbox import Conversation
from graphs.run import Request
from graphs.run_guard import RunGuard
from graphs.store import RunStore
from tests.support.company import ADA, AMIR, BEN, CLEO, GUS, RITA

TEAM = "T0LOCAL"
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RULEBOOK = Path(__file__).parents[2] / "bot" / "sample" / "rulebook.yml"

#: What the outside system does with one call.
Mode = Literal[
    "ok",
    "rejected",
    "unreachable",
    "applied_unknown",
    "lost_unknown",
    "open",
    "contested",
    "applied_contested",
    "dies_before",
    "dies_after",
]


#: A refund whose every guarded argument somebody of ours chose.
ENDORSED = {name: Origin(TrustLabel.MEMBER) for name in ("order_id", "amount", "payment_method_id", "customer_id")}


class Died(BaseException):
    """Where the process would have ended: nothing of ours runs after it."""


@dataclass(frozen=True)
class Applied:
    """One effect, as the outside system remembers it."""

    key: str
    body: bytes
    refund_id: str

    @property
    def reply(self) -> dict[str, Any]:
        """What it answers about this effect."""
        made = {"refund_id": self.refund_id, **json.loads(self.body)["refund"]}
        return {"refund": made}


@dataclass
class Outside:
    """A payment provider over lists: what it was sent, and what it did, apart from anything we store."""

    settles: EffectClass = EffectClass.KEYED
    key_retention: timedelta | None = None
    modes: list[Mode] = field(default_factory=list[Mode])
    """What it does with the next calls, in order; afterwards all is well."""
    finding: Literal["answers", "inconclusive"] = "answers"
    forgets_keys: bool = False
    before_send: Callable[[], None] = lambda: None
    spelling: str = "refund"
    """The bytes are a pure function of the record and of this release: another release may write them otherwise."""
    wait: timedelta | None = None
    """How long it asks not to be called, where it cannot be reached."""
    sent: list[Outbound] = field(default_factory=list[Outbound])
    applied: list[Applied] = field(default_factory=list[Applied])
    looked_for: list[str] = field(default_factory=list[str])
    name: str = "payments"
    account: str = "acct_1"
    sandbox: bool = True
    window: timedelta = timedelta(seconds=10)

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The refund as this provider wants it; it cannot refund to a gift card."""
        args = Refund.model_validate({name: record.args[name] for name in Refund.model_fields})
        if args.payment_method_id == "gift_card":
            raise Rejected("This provider knows no gift cards.", code="not_expressible")
        refund = {
            "amount_minor": args.amount.minor,
            "currency": args.amount.currency,
            "payment_method_id": args.payment_method_id,
        }
        body = json.dumps({"key": receiver_key, "refund": refund, "as": self.spelling}, sort_keys=True).encode()
        return Outbound("POST", "/refunds", body, {})

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Do with the call what the next mode says."""
        del timeout
        self.before_send()
        mode = self.modes.pop(0) if self.modes else "ok"
        self.sent.append(outbound)
        await asyncio.sleep(0)
        match mode:
            case "rejected":
                raise Rejected("The card is closed.", code="card_closed")
            case "unreachable":
                raise Unreachable("Nobody listens there.", wait=self.wait)
            case "lost_unknown":
                raise OutcomeUnknown("No answer in time.")
            case "contested":
                raise Contested("I have something under this key.")
            case "dies_before":
                raise Died
            case _:
                applied = self._apply(outbound)
        if mode == "applied_unknown":
            raise OutcomeUnknown("No answer in time.")
        if mode == "applied_contested":
            raise Contested("I have something under this key.")
        if mode == "dies_after":
            raise Died
        if mode == "open":
            raise StillOpen("It works on it.")
        return applied.reply

    def _apply(self, outbound: Outbound) -> Applied:
        key = json.loads(outbound.body)["key"]
        known = [each for each in self.applied if each.key == key]
        if known and self.settles is EffectClass.KEYED and not self.forgets_keys:
            return known[0]
        applied = Applied(key, outbound.body, f"re_{len(self.applied) + 1}")
        self.applied.append(applied)
        return applied

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What was done under this key, by the provider's own log."""
        del record
        self.looked_for.append(receiver_key)
        if self.finding == "inconclusive":
            raise Inconclusive("The list is not complete yet.")
        return next((each.reply for each in self.applied if each.key == receiver_key), None)

    async def is_healthy(self) -> bool:
        """It always is."""
        return True

    @property
    def bodies(self) -> list[str]:
        """SHA-256 of each body as the receiver computes it."""
        return [hashlib.sha256(each.body).hexdigest() for each in self.sent]


def member(name: str, *roles: Any, tier: int = 0) -> Member:
    """One person of a team."""
    return Member(name=name, roles=frozenset(roles), tier=tier)


#: The sample company's people, as the tests of approvals know them; Ada is an admin and no approver here.
PEOPLE = {
    ADA: member("Ada", "admin"),
    BEN: member("Ben", "approver", tier=1),
    CLEO: member("Cleo", "approver", tier=2),
    RITA: member("Rita", "requester"),
    AMIR: member("Amir", "auditor"),
    GUS: member("Gus", "guest"),
}


#: Restricts nothing: what teammates may do is tested on its own.
ANYTHING = {"name": "Anybody", "purpose": "Everything.", "workflows": ["returns"], "actions": ["*"]}


def a_team(**changes: Any) -> Team:
    """The usual team, with some fields changed."""
    return Team.model_validate({"workspace": TEAM, "people": PEOPLE, "teammates": [ANYTHING], **changes})


ALLOW_SMALL = {"id": "small", "because": "Small.", "action": "payment.refund", "verdict": "allow"}


def allow(up_to: str = "50 USD") -> dict[str, Any]:
    """A rule that lets small refunds run alone."""
    return {**ALLOW_SMALL, "when": {"amount_at_most": up_to}}


def ask(above: str = "50 USD", **approvers: Any) -> dict[str, Any]:
    """A rule that asks about larger refunds."""
    asks = {"id": "large", "because": "Large.", "action": "payment.refund", "verdict": "require_approval"}
    return {**asks, "when": {"amount_above": above}, "approvers": Approvers(**approvers)}


def deny(above: str) -> dict[str, Any]:
    """A rule that forbids huge refunds."""
    forbids = {"id": "huge", "because": "Huge.", "action": "payment.refund", "verdict": "deny"}
    return {**forbids, "when": {"amount_above": above}}


def rules_of(*rules: dict[str, Any], team: Team | None = None, version: str = "v1", **policy: Any) -> Rules:
    """Rules made of these parts, in place of files."""
    parsed = [Rule.model_validate(rule) for rule in rules]
    made = Policy(version=1, base_currency="USD", rules=parsed, **policy)
    return Rules(made, team or a_team(), _the_rulebook(), version)


@functools.cache
def _the_rulebook() -> Rulebook:
    # Reading it takes longer than most of what is tried under it.
    return read(RULEBOOK, Rulebook).content


@dataclass
class House:
    """A gateway and its approvals, driven as a run and as people would."""

    database: Database
    outside: Outside
    clock: SettableClock
    gateway: Gateway
    approvals: Approvals
    edits: Edits
    questions: Questions
    doubts: Doubts
    metrics: Metrics
    woken: list[tuple[str, datetime | None]]
    rules: Rules

    async def caller(self, *, requester: str = RITA) -> Caller:
        """A new run on whose behalf effects are wished for, owned by us."""
        run_id = new_run_id()
        where = Conversation(TEAM, "C0RETURNS", "17.1")
        request = Request(
            workspace=TEAM, requester=requester, origin="cli", workflow="returns", delivery_id=f"d-{run_id}"
        )
        async with self.database.transaction() as conn:
            await RunStore(self.database).create(conn, request, conversation=where, workflow_version=1, run_id=run_id)
        return Caller(run_id, TEAM, "returns", requester, where, RunGuard(run_id, 0))

    async def next_owner(self, caller: Caller) -> Caller:
        """The same run in the hands of whoever found its owner dead."""
        await self.execute("update graphs.run set epoch = epoch + 1 where run_id = %s", caller.run_id)
        assert isinstance(caller.guard, RunGuard)
        return replace(caller, guard=RunGuard(caller.run_id, caller.guard.epoch + 1))

    async def refund(
        self,
        caller: Caller,
        amount: str = "10 USD",
        *,
        step: str = "refund",
        origins: Mapping[str, Origin] | None = None,
        evidence: list[str] | None = None,
        **changes: str,
    ) -> Outcome:
        """Wish for a refund, as a step called `refund` unless said otherwise."""
        args, origins = a_refund(amount, **changes), ENDORSED if origins is None else origins
        return await self.gateway.perform(
            "payment.refund", args, step=step, caller=caller, origins=origins, evidence=evidence
        )

    async def consent(self, caller: Caller, amount: str = "10 USD", **changes: str) -> Consent:
        """Put the question about a refund, sending nothing."""
        args = a_refund(amount, **changes)
        return await self.gateway.consent("payment.refund", args, step="refund", caller=caller, origins=ENDORSED)

    async def asked(self, caller: Caller, amount: str = "100 USD", **more: Any) -> str:
        """Wish for a refund that waits for people; the approval's id."""
        outcome = await self.refund(caller, amount, **more)
        assert isinstance(outcome, Parked), outcome
        assert outcome.kind == "approval", outcome
        return outcome.subject_id

    async def click_on(self, approval_id: str, *, by: str = CLEO, **changes: Any) -> Click:
        """The click on the card as it stands."""
        view = await self.approvals.view(approval_id)
        assert view is not None
        click = Click(
            approval_id=approval_id,
            revision=view.revision,
            digest16=view.digest[:16],
            verdict="approve",
            user_id=by,
            team_id=TEAM,
            enterprise_id=None,
            delivery_id=f"click-{new_run_id()}",
        )
        return replace(click, **changes)

    async def answer(self, approval_id: str, *, by: str = CLEO, **changes: Any) -> Answer:
        """Click, as the person Slack says this is."""
        return await self.approvals.decide(await self.click_on(approval_id, by=by, **changes), standing(by))

    async def edit(self, approval_id: str, *, by: str = CLEO, **typed: str) -> Answer:
        """Change arguments and approve, as the person Slack says this is."""
        return await self.edits.decide(await self.click_on(approval_id, by=by), standing(by), typed)

    async def ask_back(self, approval_id: str, question: str, *, by: str = CLEO, **changes: Any) -> Answer:
        """Ask whoever asked, from the card."""
        click = await self.click_on(approval_id, by=by, reason=question, **changes)
        groups = await self.questions.groups()
        async with self.database.transaction() as conn:
            return await self.questions.ask_in(conn, click, standing(by), groups)

    async def newest(self, caller: Caller) -> str:
        """The id of the newest approval of a run."""
        [row] = await self.execute(
            "select approval_id from actions.approval join actions.intent using (intent_id) where run_id = %s"
            " order by approval.revision desc, asked_at desc limit 1",
            caller.run_id,
        )
        return row["approval_id"]

    async def pass_time(self, by: timedelta) -> None:
        """Let `by` pass on the database's clock."""
        await self.execute(
            "insert into core.clock_shift (shift) values (%s) on conflict (only_row)"
            " do update set shift = clock_shift.shift + excluded.shift",
            by,
        )

    async def execute(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run one statement on the side and give its rows."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def intent(self, caller: Caller, step: str = "refund") -> dict[str, Any]:
        """The stored intent of one step."""
        [row] = await self.execute("select * from actions.intent where run_id = %s and step = %s", caller.run_id, step)
        return row

    async def has_wished(self, caller: Caller) -> bool:
        """True when the ledger knows of any wish of this run."""
        return bool(await self.execute("select 1 from actions.intent where run_id = %s", caller.run_id))

    async def attempts(self, caller: Caller) -> list[dict[str, Any]]:
        """The attempts of a run, in order."""
        return await self.execute(
            "select a.* from actions.attempt a join actions.intent using (intent_id) where run_id = %s order by number",
            caller.run_id,
        )

    async def states(self, caller: Caller) -> list[str]:
        """How the run's attempts stand, in order."""
        return [attempt["state"] for attempt in await self.attempts(caller)]

    async def approval_states(self, caller: Caller) -> list[str]:
        """How the run's approvals stand, in the order in which they were asked."""
        found = await self.execute(
            "select a.state from actions.approval a join actions.intent using (intent_id)"
            " where run_id = %s order by a.asked_at",
            caller.run_id,
        )
        return [row["state"] for row in found]

    async def events(self, caller: Caller | None = None) -> list[str]:
        """The audit events so far, of one run or of all."""
        found = await self.execute(
            "select event from core.audit where %s::text is null or subject ->> 'run_id' = %s order by seq",
            *([caller.run_id if caller else None] * 2),
        )
        return [row["event"] for row in found]


def a_refund(amount: str = "10 USD", **changes: Any) -> Refund:
    """A refund of this amount for one order."""
    args = {"order_id": "#W1", "payment_method_id": "card_1", "amount": Money.parse(amount), "reason": "broken"}
    return Refund.model_validate({**args, **changes})


def standing(user_id: str, /, **changes: Any) -> Standing:
    """A full member of the workspace, with some facts changed."""
    plain = Standing(user_id, TEAM, is_bot=False, deleted=False, guest=False, stranger=False)
    return replace(plain, **changes)


def a_house(
    database: Database,
    *,
    outside: Outside | None = None,
    rules: Sequence[dict[str, Any]] = (),
    catalogue: Catalogue | None = None,
    members: Members = nobody_known,
) -> House:
    """A gateway over `database`; refunds up to 50 USD run alone, larger ones ask an approver."""
    clock, metrics, woken = SettableClock(NOON), Metrics(), list[tuple[str, datetime | None]]()
    outside = outside or Outside()
    catalogue = catalogue or Catalogue.scan()

    async def wake(run_id: RunId, conn: Connection, at: datetime | None = None) -> None:
        del conn
        woken.append((run_id, at))

    def now_in_force() -> Rules:
        return house.rules

    connectors = {outside.name: outside}
    approvals = Approvals(database, catalogue, now_in_force, wake=wake, metrics=metrics, members=members)
    gateway = Gateway(database, catalogue, connectors, now_in_force, wake=wake, clock=clock, metrics=metrics)
    goes_on = RunStore(database).goes_on
    house = House(
        database,
        outside,
        clock,
        gateway,
        approvals,
        Edits(
            database,
            approvals,
            catalogue=catalogue,
            wishes=Wishes(catalogue, connectors),
            judge=Judge(now_in_force, metrics),
            rules=now_in_force,
            wake=wake,
            metrics=metrics,
        ),
        Questions(database, approvals, now_in_force, asked=asked_text, answered=answered_text),
        Doubts(
            *(database, catalogue, now_in_force, gateway.preview),
            wake=wake,
            goes_on=goes_on,
            metrics=metrics,
            members=members,
        ),
        metrics,
        woken,
        rules_of(*(rules or (allow(), ask()))),
    )
    return house


class Stalling(Database):
    """A database whose transactions let something happen to the process right after they committed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, database.pool)
        self.after_commit: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """As usual, and then whatever the test wants."""
        async with super().transaction() as conn:
            yield conn
        self.after_commit()
