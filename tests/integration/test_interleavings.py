"""People click and edit, rules and roles change, time runs out, all is paused: what is sent is what was agreed to."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

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
#: Interleavings of one seed, how much happens in each, and how many seeds.
EXAMPLES, STEPS, SEEDS = (500, 15, 20) if FULL else (100, 15, 2)

AMOUNTS = ("10 USD", "60 USD", "90 USD")
PLACES = ("first", "second", "third", "fourth")
DENY = 9


@dataclass(frozen=True)
class Regime:
    """A policy, and by hand what it says: the lowest tier that must agree to each amount; 0 runs alone."""

    rules: tuple[dict[str, Any], ...]
    tiers: tuple[int, int, int]


TIERED = Regime((allow("50 USD"), ask("50 USD", tier=2)), (0, 2, 2))
REGIMES = (
    Regime((allow("50 USD"), ask("50 USD", tier=1)), (0, 1, 1)),
    Regime((ask("5 USD", tier=1),), (1, 1, 1)),
    TIERED,
    Regime((allow("50 USD"), ask("50 USD", tier=1), deny("80 USD")), (0, 1, DENY)),
    Regime((allow("1000 USD"),), (0, 0, 0)),
)
TIERS = {BEN: 1, CLEO: 2}


@dataclass
class Ground:
    """What all interleavings share: one loop, one database."""

    runner: asyncio.Runner
    house: House
    switch: KillSwitch
    played: int = 0
    sent: int = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do this on the shared loop."""
        return self.runner.run(work)


_APPROVERS, _PLACES, _AMOUNTS, _REGIMES = map(st.sampled_from, ((BEN, CLEO), PLACES, AMOUNTS, REGIMES))
#: Whether the run looks again at once, as after an answer that woke it, or only when something else has happened.
_LOOKS = st.booleans()

_STAYS = st.sampled_from((False, False, True))


class Plainly(RuleBasedStateMachine):
    """One run with several steps, and everybody who can interfere; the model knows only what people did and said.

    No rule has a precondition: if what may happen next hung on who wins a race, no failure could be replayed or made
    smaller. What cannot happen now does nothing. Where two things happen at once, either order is right.
    """

    ground: ClassVar[Ground]

    def __init__(self) -> None:
        super().__init__()
        self.house, self.run = self.ground.house, self.ground.run
        self.regime = REGIMES[0]
        self.tiers = dict(TIERS)
        self.cards: list[Click] = []
        self.is_open = self.paused = False
        self.also: tuple[Regime, ...] = ()
        """What was, or will be, in force while something happens: where rules change meanwhile, both are right."""
        self.agreed: dict[str, dict[str, str]] = {}
        """For each digest that somebody entitled agreed to on its card: the approval, and who it was."""
        self.approvals = self.checked = 0
        self.house.outside.sent.clear()
        self.house.outside.applied.clear()
        self.caller: Caller = self.run(self.house.caller())
        self.last = (PLACES[0], AMOUNTS[1])
        self._govern()
        self.run(self._wish(*self.last))

    def teardown(self) -> None:
        """Whatever is left open is nobody's concern any more."""
        if self.paused:
            self.run(release(self.house, self.ground.switch))
        self.run(self._forget())
        self.ground.played += 1
        self.ground.sent += len(self.house.outside.sent)

    async def _forget(self) -> None:
        async with self.house.database.transaction() as conn:
            await self.house.gateway.cancel_run(conn, self.caller.run_id)

    def _govern(self) -> None:
        people = {user: member(user, "approver", tier=tier) for user, tier in self.tiers.items() if tier}
        team = a_team(people={**a_team().people, BEN: member("Ben"), CLEO: member("Cleo"), **people})
        self.house.rules = rules_of(*self.regime.rules, team=team)

    @rule(place=_PLACES, amount=_AMOUNTS)
    def wish(self, place: str, amount: str) -> None:
        """The run asks for an effect, perhaps with other arguments than before."""
        self.run(self._wish(place, amount))

    @rule(amount=_AMOUNTS)
    def go_on(self, amount: str) -> None:
        """The run looks again at what it asked for last; once that has ended it goes on to its next step."""
        if self.run(self._has_ended(self.last[0])):
            self.last = (PLACES[(PLACES.index(self.last[0]) + 1) % len(PLACES)], amount)
        self.run(self._wish(*self.last))

    def _look(self, looks: bool) -> None:
        if looks:
            self.run(self._wish(*self.last))

    async def _has_ended(self, place: str) -> bool:
        found = await self.house.execute(
            "select state from actions.intent where run_id = %s and step = %s", self.caller.run_id, place
        )
        return bool(found) and found[0]["state"] not in {"prepared", "awaiting"}

    async def _wish(self, place: str, amount: str) -> None:
        self.last = (place, amount)
        if await self._has_ended(place):
            return
        outcome = await self.house.refund(self.caller, amount, step=place)
        if isinstance(outcome, Parked) and outcome.kind == "approval":
            self.cards.append(await self.house.click_on(outcome.subject_id))
            self.is_open = True

    @rule(by=st.sampled_from((BEN, BEN, CLEO, CLEO, RITA, GUS)), looks=_LOOKS)
    def approve(self, by: str, looks: bool) -> None:
        """Somebody presses Approve on the newest card, as it looked when it was posted."""
        if self.is_open:
            self.run(self._approve(by, self.cards[-1]))
            self._look(looks)

    @rule(by=_APPROVERS, card=st.integers(0, 5), looks=_LOOKS)
    def approve_of_long_ago(self, by: str, card: int, looks: bool) -> None:
        """Somebody finds an older card and presses Approve there."""
        if self.cards:
            self.run(self._approve(by, self.cards[card % len(self.cards)]))
            self._look(looks)

    async def _approve(self, by: str, shown: Click) -> None:
        self.approvals += 1
        click = Click(**{**vars(shown), "user_id": by, "delivery_id": f"{self.caller.run_id}-{self.approvals}"})
        tier = self.tiers.get(by, 0)
        answer = await self.house.approvals.decide(click, standing(by))
        if answer.decided:
            assert tier, f"{by} decided without being entitled"
            self.is_open = False
            self.agreed.setdefault(click.digest16, {})[click.approval_id] = by

    @rule(regime=_REGIMES | st.just(TIERED), looks=_LOOKS)
    def change_policy(self, regime: Regime, looks: bool) -> None:
        """Another policy comes into force; often one under which what somebody of tier 1 agreed to needs tier 2."""
        self.regime = regime
        self._govern()
        self._look(looks)

    @rule(user=_APPROVERS, holds=st.sampled_from((True, True, False)))
    def change_roles(self, user: str, holds: bool) -> None:
        """Somebody loses their role, or gets it back."""
        self.tiers[user] = TIERS[user] if holds else 0
        self._govern()

    @rule()
    def let_time_run_out(self) -> None:
        """Whatever waits expires."""
        self.run(self._let_time_run_out())

    async def _let_time_run_out(self) -> None:
        await self.house.pass_time(timedelta(hours=5))
        await self.house.approvals.expire_due()

    @rule(looks=_LOOKS)
    def ask_again(self, looks: bool) -> None:
        """Whoever asked has what expired asked again."""
        self.run(self._ask_again())
        self._look(looks)

    async def _ask_again(self) -> None:
        async def wake(run_id: RunId, conn: Connection) -> None:
            del run_id, conn

        async with self.house.database.transaction() as conn:
            again = Reopening(lambda: self.house.rules, wake=wake)
            await again.reopen(conn, self.caller.run_id, RITA, delivery_id=f"{self.caller.run_id}-again")

    @rule(by=_APPROVERS, place=_PLACES, amount=_AMOUNTS)
    def race_of_wishes(self, by: str, place: str, amount: str) -> None:
        """Somebody clicks at the very moment at which the run changes its mind."""
        if self.is_open:
            self.run(_at_once(self._approve(by, self.cards[-1]), self._wish(place, amount)))

    @rule(by=_APPROVERS, regime=_REGIMES | st.just(TIERED))
    def race_of_rules(self, by: str, regime: Regime) -> None:
        """Somebody clicks at the very moment at which another policy comes into force; then the run looks again."""
        if self.is_open:
            self.run(_at_once(self._approve(by, self.cards[-1]), self._come_into_force(regime)))
            self._look(looks=True)

    async def _come_into_force(self, regime: Regime) -> None:
        await asyncio.sleep(0.001)
        self.regime = regime
        self._govern()

    @invariant()
    def what_was_sent_was_agreed_to(self) -> None:
        """Everything that was sent since the last look is what policy allows and people agreed to, byte for byte."""
        for outbound in self.house.outside.sent[self.checked :]:
            self.run(self._check(outbound.body))
        self.checked = len(self.house.outside.sent)
        self.also = ()

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
        place = [Money.parse(each) for each in AMOUNTS].index(amount)
        needed = min(regime.tiers[place] for regime in (self.regime, *self.also))
        assert needed < DENY, "sent what policy forbids"
        by = self.agreed.get(row["digest"][:16], {}).get(row["approval_id"] or "", "")
        # Whoever has lost their role since cannot have agreed to what begins now.
        granted = self.tiers.get(by, 0)
        assert granted >= needed, f"{amount} needs tier {needed}, agreed to by {by or 'nobody'} of tier {granted}"


class Everything(Plainly):
    """The same with people who edit and people who pause, and more that happens at the very same moment."""

    @rule(by=_APPROVERS, amount=_AMOUNTS, looks=_LOOKS)
    def edit(self, by: str, amount: str, looks: bool) -> None:
        """Somebody changes the amount on the newest card."""
        if self.is_open:
            self.run(self._edit(by, amount))
            self._look(looks)

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
            self.agreed.setdefault(card.digest16, {})[card.approval_id] = by

    async def _amount_of(self, approval_id: str) -> Money:
        [row] = await self.house.execute(
            "select record from actions.revision join actions.approval using (intent_id, revision)"
            " where approval_id = %s",
            approval_id,
        )
        return Refund.model_validate(row["record"]["args"]).amount

    @rule(by=_APPROVERS, amount=_AMOUNTS)
    def race_of_edits(self, by: str, amount: str) -> None:
        """One approves at the very moment at which the other edits."""
        if self.is_open:
            other = CLEO if by == BEN else BEN
            self.run(_at_once(self._approve(other, self.cards[-1]), self._edit(by, amount)))

    @rule(by=_APPROVERS)
    def race_with_time(self, by: str) -> None:
        """Somebody clicks at the very moment at which it expires."""
        if self.is_open:
            self.run(_at_once(self._approve(by, self.cards[-1]), self._let_time_run_out()))

    @rule(regime=_REGIMES)
    def race_with_policy(self, regime: Regime) -> None:
        """Another policy comes into force while the run looks again."""
        self.also = (self.regime,)
        self.run(_at_once(self._wish(*self.last), self._come_into_force(regime)))

    @rule(stays=_STAYS)
    def race_with_pause(self, stays: bool) -> None:
        """Everything is paused at the very moment at which the run looks again: it began before, or not at all."""
        if not self.paused:
            self.run(self._race_with_pause())
            self.what_was_sent_was_agreed_to()
            self._stand_still(stays)

    async def _race_with_pause(self) -> None:
        await _at_once(self._wish(*self.last), press(self.house, self.ground.switch))

    @rule(stays=_STAYS)
    def pause(self, stays: bool) -> None:
        """Everything is paused, for a moment or until somebody resumes."""
        if not self.paused:
            self.run(press(self.house, self.ground.switch))
            self._stand_still(stays)

    def _stand_still(self, stays: bool) -> None:
        self.paused = True
        self._look(looks=True)
        self.what_was_sent_was_agreed_to()
        if not stays:
            self.resume()

    @rule()
    def resume(self) -> None:
        """Everything may go on."""
        if self.paused:
            self.run(release(self.house, self.ground.switch))
            self.paused = False
            self._look(looks=True)


async def _at_once(*acts: Coroutine[Any, Any, Any]) -> None:
    await asyncio.gather(*acts)


@pytest.fixture(scope="module")
def ground(common_installation_url: str) -> Iterator[Ground]:
    """A loop and a house for all interleavings of this module."""
    with asyncio.Runner() as runner:
        opening = open_database(common_installation_url, max_size=4)
        house = a_house(runner.run(opening.__aenter__()))
        yield Ground(runner, house, a_switch(house))
        runner.run(opening.__aexit__(None, None, None))


@pytest.mark.parametrize("number", range(SEEDS))
def test_nothing_is_sent_but_what_was_agreed_to(ground: Ground, number: int) -> None:
    before = (ground.played, ground.sent)
    _play(ground, Everything, number)
    played, sent = ground.played - before[0], ground.sent - before[1]
    print(f"seed {number}: {played} interleavings, {sent} effects sent, every one as it was agreed to")
    assert played >= EXAMPLES
    assert sent > played / 4


def test_the_same_interleavings_find_a_gateway_that_trusts_an_old_approval(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actions.admission.is_stricter", lambda now, then: False)
    with pytest.raises(AssertionError, match="needs tier"):
        _play(ground, Plainly, 0, max_examples=1000, phases=[Phase.generate])


def _play(ground: Ground, machine: type[Plainly], number: int, **more: Any) -> None:
    bound = seed(number)(type(machine.__name__, (machine,), {"ground": ground}))
    run_state_machine_as_test(
        bound,
        settings=settings(
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            **{"max_examples": EXAMPLES, **more},
        ),
    )
