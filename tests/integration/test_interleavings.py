"""People click and edit, rules and roles change, time runs out, all is paused: what is sent is what was agreed to."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actions.approval import Click
from actions.catalogue.payment_refund import Refund
from actions.intent import Record
from actions.killswitch import KillSwitch
from actions.outcome import Caller, Parked
from actions.reopening import Reopening
from core.db import Connection, open_database
from core.ids import RunId
from core.money import Money
from tests.support.company import BEN, CLEO, GUS, RITA
from tests.support.ledger import House, a_house, a_team, allow, ask, deny, member, rules_of, standing
from tests.support.switching import a_switch, press, release

pytest_plugins = ["tests.support.migrated"]
pytestmark = pytest.mark.campaign

FULL = os.environ.get("COUNTERSIGN_CAMPAIGN") == "full"
EXAMPLES, STEPS = (10_000, 30) if FULL else (120, 30)

AMOUNTS = ("10 USD", "60 USD", "90 USD")
PLACES = ("first", "second", "third", "fourth")
DENY = 9


@dataclass(frozen=True)
class Regime:
    """A policy, and by hand what it says: the lowest tier that must agree to each amount; 0 runs alone."""

    rules: tuple[dict[str, Any], ...]
    tiers: tuple[int, int, int]


REGIMES = (
    Regime((allow("50 USD"), ask("50 USD", tier=1)), (0, 1, 1)),
    Regime((ask("5 USD", tier=1),), (1, 1, 1)),
    Regime((allow("50 USD"), ask("50 USD", tier=2)), (0, 2, 2)),
    Regime((allow("50 USD"), ask("50 USD", tier=1), deny("80 USD")), (0, 1, DENY)),
    Regime((allow("1000 USD"),), (0, 0, 0)),
)
TIERS = {BEN: 1, CLEO: 2}


@dataclass
class Ground:
    """What all examples share: one loop, one database."""

    runner: asyncio.Runner
    house: House
    switch: KillSwitch

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do this on the shared loop."""
        return self.runner.run(work)


#: A verb of the machine below, with its arguments.
Happening = tuple[Any, ...]
_APPROVERS, _PLACES, _AMOUNTS = map(st.sampled_from, ((BEN, CLEO), PLACES, AMOUNTS))
PLAIN = (
    st.tuples(st.just("go_on")),
    st.tuples(st.just("go_on")),
    st.tuples(st.just("wish"), _PLACES, _AMOUNTS),
    st.tuples(st.just("approve"), st.sampled_from((BEN, BEN, CLEO, CLEO, RITA, GUS))),
    st.tuples(st.just("approve"), _APPROVERS),
    st.tuples(st.just("approve_of_long_ago"), _APPROVERS, st.integers(0, 5)),
    st.tuples(st.just("change_policy"), st.sampled_from(REGIMES)),
    st.tuples(st.just("change_roles"), _APPROVERS, st.booleans()),
    st.tuples(st.just("let_time_run_out")),
    st.tuples(st.just("ask_again")),
    st.tuples(st.just("race"), _APPROVERS, _PLACES, _AMOUNTS),
)
HAPPENINGS = st.one_of(
    *PLAIN,
    st.tuples(st.just("edit"), _APPROVERS, _AMOUNTS),
    st.tuples(st.just("race_of_edits"), _APPROVERS, _AMOUNTS),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
)


class Interleavings:
    """One run with two steps, and everybody who can interfere; the model knows only what people did and said.

    What happens next is drawn beforehand: if it hung on who wins a race, no failure could be replayed or made smaller.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.house = ground.house
        self.regime = REGIMES[0]
        self.tiers = dict(TIERS)
        self.cards: list[Click] = []
        self.is_open = self.paused = False
        self.agreed: dict[str, dict[str, int]] = {}
        """For each digest that somebody entitled agreed to on its card: the approval and the tier they had then."""
        self.approvals = self.checked = 0
        self.last: tuple[str, str] | None = None
        self.house.outside.sent.clear()
        self.house.outside.applied.clear()
        self.caller: Caller = self.ground.run(self.house.caller())
        self._govern()

    def _govern(self) -> None:
        people = {user: member(user, "approver", tier=tier) for user, tier in self.tiers.items() if tier}
        team = a_team(people={**a_team().people, BEN: member("Ben"), CLEO: member("Cleo"), **people})
        self.house.rules = rules_of(*self.regime.rules, team=team)

    def happens(self, happening: Happening) -> None:
        """Something happens; then everything that was sent since is checked."""
        getattr(self, happening[0])(*happening[1:])
        for outbound in self.house.outside.sent[self.checked :]:
            self.ground.run(self._check(outbound.body))
        self.checked = len(self.house.outside.sent)

    def wish(self, place: str, amount: str) -> None:
        """The run asks for its effect, perhaps with other arguments than before."""
        self.ground.run(self._wish(place, amount))

    def go_on(self) -> None:
        """The run looks again at what it asked for last, as after every answer."""
        assert self.last is not None
        self.ground.run(self._wish(*self.last))

    async def _wish(self, place: str, amount: str) -> None:
        self.last = (place, amount)
        found = await self.house.execute(
            "select state from actions.intent where run_id = %s and step = %s", self.caller.run_id, place
        )
        if found and found[0]["state"] not in {"prepared", "awaiting"}:
            return
        outcome = await self.house.refund(self.caller, amount, step=place)
        if isinstance(outcome, Parked) and outcome.kind == "approval":
            self.cards.append(await self.house.click_on(outcome.subject_id))
            self.is_open = True

    def approve(self, by: str) -> None:
        """Somebody presses Approve on the newest card, as it looked when it was posted."""
        if self.is_open:
            self.ground.run(self._approve(by, self.cards[-1]))

    def approve_of_long_ago(self, by: str, card: int) -> None:
        """Somebody finds an older card and presses Approve there."""
        if self.cards:
            self.ground.run(self._approve(by, self.cards[card % len(self.cards)]))

    async def _approve(self, by: str, shown: Click) -> None:
        self.approvals += 1
        click = Click(**{**vars(shown), "user_id": by, "delivery_id": f"{self.caller.run_id}-{self.approvals}"})
        tier = self.tiers.get(by, 0)
        answer = await self.house.approvals.decide(click, standing(by))
        if answer.decided:
            assert tier, f"{by} decided without being entitled"
            self.is_open = False
            self.agreed.setdefault(click.digest16, {})[click.approval_id] = tier

    def edit(self, by: str, amount: str) -> None:
        """Somebody changes the amount on the newest card."""
        if self.is_open:
            self.ground.run(self._edit(by, amount))

    async def _edit(self, by: str, amount: str) -> None:
        shown, tier = self.cards[-1], self.tiers.get(by, 0)
        before = await self._amount_of(shown.approval_id)
        answer = await self.house.edit(shown.approval_id, by=by, amount=f"{Money.parse(amount)}")
        if not answer.decided:
            return
        assert tier, f"{by} edited without being entitled"
        [newest] = await self.house.execute(
            "select a.approval_id from actions.approval a join actions.approval old using (intent_id)"
            " where old.approval_id = %s order by a.revision desc, a.asked_at desc limit 1",
            shown.approval_id,
        )
        card = await self.house.click_on(newest["approval_id"])
        self.cards.append(card)
        self.is_open = answer.state == "pending"
        if answer.state == "approved":
            assert Money.parse(amount).minor <= before.minor, f"{by} agreed to an amount of their own making"
            self.agreed.setdefault(card.digest16, {})[card.approval_id] = tier

    async def _amount_of(self, approval_id: str) -> Money:
        [row] = await self.house.execute(
            "select record from actions.revision join actions.approval using (intent_id, revision)"
            " where approval_id = %s",
            approval_id,
        )
        return Refund.model_validate(row["record"]["args"]).amount

    def race_of_edits(self, by: str, amount: str) -> None:
        """One approves at the very moment at which the other edits."""
        if self.is_open:
            other = CLEO if by == BEN else BEN
            self.ground.run(self._race_of_edits(by, other, amount))

    async def _race_of_edits(self, by: str, other: str, amount: str) -> None:
        await asyncio.gather(self._approve(other, self.cards[-1]), self._edit(by, amount))

    def pause(self) -> None:
        """Everything is paused."""
        if not self.paused:
            self.ground.run(press(self.house, self.ground.switch))
            self.paused = True

    def resume(self) -> None:
        """Everything may go on."""
        if self.paused:
            self.ground.run(release(self.house, self.ground.switch))
            self.paused = False

    def change_policy(self, regime: Regime) -> None:
        """Another policy comes into force."""
        self.regime = regime
        self._govern()

    def change_roles(self, user: str, holds: bool) -> None:
        """Somebody loses their role, or gets it back."""
        self.tiers[user] = TIERS[user] if holds else 0
        self._govern()

    def let_time_run_out(self) -> None:
        """Whatever waits expires."""
        self.ground.run(self.house.pass_time(timedelta(hours=5)))
        self.ground.run(self.house.approvals.expire_due())

    def ask_again(self) -> None:
        """Whoever asked has what expired asked again."""
        self.ground.run(self._ask_again())

    async def _ask_again(self) -> None:
        async def wake(run_id: RunId, conn: Connection) -> None:
            del run_id, conn

        async with self.house.database.transaction() as conn:
            again = Reopening(lambda: self.house.rules, wake=wake)
            await again.reopen(conn, self.caller.run_id, RITA, delivery_id=f"{self.caller.run_id}-again")

    def race(self, by: str, place: str, amount: str) -> None:
        """Somebody clicks at the very moment at which the run changes its mind."""
        if self.is_open:
            self.ground.run(self._race(by, place, amount))

    async def _race(self, by: str, place: str, amount: str) -> None:
        await asyncio.gather(self._approve(by, self.cards[-1]), self._wish(place, amount))

    async def _check(self, body: bytes) -> None:
        assert not self.paused, "sent while everything was paused"
        [row] = [
            found
            for found in await self.house.execute(
                "select r.*, a.approval_id, a.request_sha256 from actions.revision r join actions.intent i"
                " using (intent_id) join actions.attempt a on a.intent_id = r.intent_id and a.revision = r.revision"
                " where i.run_id = %s",
                self.caller.run_id,
            )
            if found["receiver_key"].encode() in body
        ]
        record = Record.from_json(row["record"])
        assert record.digest() == row["digest"]
        assert self.house.outside.request(record, row["receiver_key"]).body == body
        amount = Refund.model_validate(record.args).amount
        needed = self.regime.tiers[[Money.parse(each) for each in AMOUNTS].index(amount)]
        assert needed < DENY, "sent what policy forbids"
        granted = self.agreed.get(row["digest"][:16], {}).get(row["approval_id"] or "", 0)
        assert granted >= needed, f"{amount} needs tier {needed}, agreed to by tier {granted}"


@pytest.fixture(scope="module")
def ground(common_installation_url: str) -> Iterator[Ground]:
    """A loop and a house for all examples of this module."""
    with asyncio.Runner() as runner:
        opening = open_database(common_installation_url, max_size=4)
        house = a_house(runner.run(opening.__aenter__()))
        yield Ground(runner, house, a_switch(house))
        runner.run(opening.__aexit__(None, None, None))


def test_nothing_is_sent_but_what_was_agreed_to(ground: Ground) -> None:
    _interleave(ground, HAPPENINGS)


def test_the_same_interleavings_find_a_gateway_that_trusts_an_old_approval(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actions.admission.is_stricter", lambda now, then: False)
    with pytest.raises(AssertionError, match="needs tier"):
        _interleave(ground, st.one_of(*PLAIN), phases=[Phase.generate])


def _interleave(ground: Ground, happening: st.SearchStrategy[Happening], **more: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )
    @given(st.lists(happening, min_size=STEPS, max_size=STEPS))
    def interleave(happenings: list[Happening]) -> None:
        machine = Interleavings(ground)
        machine.wish(PLACES[0], AMOUNTS[1])
        try:
            for happening in happenings:
                machine.happens(happening)
        finally:
            machine.resume()

    interleave()
