"""Rules in force: tighter ones at once, looser ones when two admins agree, the old ones when a file is no good."""

from dataclasses import replace

import pytest

from actions import rules_store
from actions.approval import Click
from actions.looseness import Kind
from actions.policy_file import FILES, Texts
from actions.rules_keeper import RulesKeeper
from bot.importing import import_price_rules
from bot.policy_verbs import rollback
from bot.rules_watch import RulesWatch, offer_of, tell_of_looser_rules
from bot.settings import Settings
from bot.slack.blocks import limits
from bot.slack.blocks.rules_card import rules_card, value_of
from core.clock import SettableClock, SystemClock
from core.ids import new_run_id
from tests.support.company import ADA, BEN, CLEO
from tests.support.ledger import NOON, standing

pytest_plugins = ["tests.support.migrated"]

ACTIONS = ("payment.refund", "order.update", "message.post")
TEAM = """\
version: 1
workspace: T0LOCAL
people:
  U0ADA: {name: Ada, roles: [admin]}
  U0BEN: {name: Ben, roles: [admin, approver], tier: 1}
  U0CLEO: {name: Cleo, roles: [approver], tier: 2}
"""
POLICY = """\
version: 1
base_currency: USD
approvals: {channel: C0APPROVALS}
rules:
  - {id: small, because: Small ones run alone., action: payment.refund, when: {amount_at_most: 50 USD}, verdict: allow}
"""
RULEBOOK = """\
version: 1
containment: {because: Not alone in our hands., isolate-for: 60m, confidence: 70}
"""


def a_rulebook(minutes: int) -> str:
    return RULEBOOK.replace("60m", f"{minutes}m")


def a_policy(limit: int, approvals: str = "approvals: {channel: C0APPROVALS}") -> str:
    return POLICY.replace("50 USD", f"{limit} USD").replace("approvals: {channel: C0APPROVALS}", approvals)


class Place:
    """One process over the database, with files of its own."""

    def __init__(self, database, folder, *, accepted: str | None = None) -> None:
        self.database = database
        self.folder = folder
        self.write()
        self.keeper = RulesKeeper(database, self.offer(), ACTIONS, tell=tell_of_looser_rules, accepted=accepted)
        self.watch = RulesWatch(self.keeper, database, SettableClock(NOON), company=folder, actions=ACTIONS)

    def offer(self):
        return offer_of(Texts.of(self.folder), ACTIONS)

    def write(self, policy: str = POLICY, team: str = TEAM, rulebook: str = RULEBOOK) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, text in zip(FILES, (policy, team, rulebook), strict=True):
            (self.folder / name).write_text(text)

    async def look(self, policy: str = POLICY, team: str = TEAM, rulebook: str = RULEBOOK) -> str:
        """What is in force after the files became this."""
        self.write(policy, team, rulebook)
        await self.watch.look()
        return self.limit

    @property
    def minutes(self) -> int:
        rules = self.keeper().rulebook.containment
        assert rules is not None
        return rules.minutes

    @property
    def limit(self) -> str:
        return str(self.keeper().policy.rules[0].when.amount_at_most)

    async def rows(self, query: str, *values):
        async with self.database.connection() as conn:
            return await (await conn.execute(query.encode(), values)).fetchall()

    async def waiting(self):
        [row] = await self.rows("select change_id from actions.rules_change where state = 'waiting'")
        change = await self.keeper.change(row["change_id"])
        assert change is not None
        return change

    async def press(self, who: str, **changes):
        change = await self.waiting()
        click = Click(change.change_id, 1, change.version[:16], "approve", who, "T0LOCAL", None, f"d-{new_run_id()}")
        async with self.database.transaction() as conn:
            answer = await self.keeper.press(conn, replace(click, **changes), standing(who))
        await self.watch.look()
        return answer

    async def events(self) -> list[str]:
        return [row["event"] for row in await self.rows("select event from core.audit order by seq")]


@pytest.fixture
def place(installation_database, tmp_path):
    return Place(installation_database, tmp_path / "one")


async def test_the_first_rules_are_in_force_at_once(place):
    assert await place.look() == "50.00 USD"
    assert await place.events() == ["rules.put_in_force"]
    await place.watch.look()
    assert await place.events() == ["rules.put_in_force"]


async def test_tighter_rules_are_in_force_without_a_restart_and_without_asking(place):
    await place.look()
    assert await place.look(a_policy(40)) == "40.00 USD"
    assert await place.rows("select 1 from core.card where kind = 'rules'") == []


async def test_looser_rules_wait_until_two_different_admins_agree(place):
    await place.look()
    assert await place.look(a_policy(60)) == "50.00 USD"
    assert (await place.press(ADA)).decided
    assert place.limit == "50.00 USD"
    assert (await place.press(ADA)).refusal == "already_voted"
    assert (await place.press(BEN)).state == "in_force"
    assert place.limit == "60.00 USD"
    assert await place.events() == [
        "rules.put_in_force",
        "rules.loosening_asked",
        "rules.agreed",
        "rules.click_refused",
        "rules.put_in_force",
    ]


@pytest.mark.parametrize(
    ("who", "changes", "word"),
    [
        (CLEO, {}, "not_entitled"),
        (ADA, {"digest16": "0" * 16}, "stale_card"),
        (ADA, {"approval_id": "rules_other"}, "unknown"),
        (ADA, {"team_id": "T0OTHER"}, "other_workspace"),
    ],
)
async def test_only_an_admin_who_saw_this_version_can_agree(place, who, changes, word):
    await place.look()
    await place.look(a_policy(60))
    answer = await place.press(who, **changes)
    assert (answer.decided, answer.refusal, place.limit) == (False, word, "50.00 USD")


async def test_where_there_is_one_admin_that_one_person_agrees(place):
    alone = TEAM.replace("roles: [admin, approver]", "roles: [approver]")
    await place.look(team=alone)
    await place.look(a_policy(60), alone)
    assert (await place.press(ADA)).state == "in_force"
    assert place.limit == "60.00 USD"


async def test_rules_that_make_more_admins_are_agreed_to_by_those_there_were_before(place):
    alone = TEAM.replace("roles: [admin, approver]", "roles: [approver]")
    await place.look(team=alone)
    await place.look(team=TEAM)
    assert (await place.press(BEN)).refusal == "not_entitled"


async def test_the_start_up_flag_accepts_exactly_one_version(installation_database, tmp_path):
    place = Place(installation_database, tmp_path / "one")
    await place.look()
    place.write(a_policy(60))
    wanted = place.offer().rules.version
    for accepted, limit in (("0" * 12, "50.00 USD"), (wanted[:12], "60.00 USD")):
        other = Place(installation_database, tmp_path / "two", accepted=accepted)
        assert await other.look(a_policy(60)) == limit
    assert await other.look(a_policy(70)) == "60.00 USD"


async def test_a_file_that_is_no_good_keeps_the_old_rules_and_is_told_once(place):
    await place.look()
    for _ in range(2):
        assert await place.look(a_policy(40).replace("verdict: allow", "verdict: alow")) == "50.00 USD"
    assert "policy.yml line 5" in place.watch.warnings()[0]
    [told] = await place.rows("select payload from core.outbox where kind = 'post'")
    assert "policy.yml line 5" in told["payload"]["text"]
    [event] = await place.rows("select detail from core.audit where event = 'rules.refused'")
    assert len(event["detail"]["files_sha256"]) == 64
    assert await place.look(a_policy(40)) == "40.00 USD"
    assert place.watch.warnings() == []


async def test_every_process_follows_what_is_in_force(installation_database, tmp_path):
    one, two = Place(installation_database, tmp_path / "one"), Place(installation_database, tmp_path / "two")
    await one.look()
    await two.look()
    await one.look(a_policy(40))
    await two.watch.look()
    assert two.limit == "40.00 USD"


async def test_taking_a_looser_file_back_takes_the_question_back(place):
    await place.look()
    await place.look(a_policy(60))
    change = await place.waiting()
    await place.look()
    assert (await place.keeper.change(change.change_id)).state == "withdrawn"
    async with place.database.transaction() as conn:
        click = Click(change.change_id, 1, change.version[:16], "approve", ADA, "T0LOCAL", None, "d-late")
        assert (await place.keeper.press(conn, click, standing(ADA))).refusal == "already_decided"


async def test_going_back_to_a_looser_version_waits_like_any_other(place):
    await place.look()
    await place.look(a_policy(40))
    assert await place.look() == "40.00 USD"
    await place.press(ADA)
    await place.press(BEN)
    assert place.limit == "50.00 USD"


async def test_the_card_says_what_becomes_possible_and_who_must_agree(place):
    await place.look()
    await place.look(a_policy(60))
    change = await place.waiting()
    card = rules_card(change)
    assert limits.violations(card) == []
    assert "payment.refund" in str(card.blocks)
    assert "2 different admins must agree" in str(card.blocks)
    assert value_of(change) in str(card.blocks)
    [row] = await place.rows("select channel from core.card where kind = 'rules'")
    assert row["channel"] == "C0APPROVALS"


async def test_without_an_approvals_channel_each_admin_hears_of_it_alone(place):
    await place.look(a_policy(50, "approvals: {}"))
    await place.look(a_policy(60, "approvals: {}"))
    told = await place.rows("select person, payload from core.outbox where kind = 'ephemeral' order by person")
    assert [row["person"] for row in told] == [ADA, BEN]
    assert all("rules.put_in_force" in str(row["payload"]["blocks"]) for row in told)


async def test_another_workspace_is_not_taken_over_by_an_edit(place):
    await place.look()
    await place.look(team=TEAM.replace("T0LOCAL", "T0OTHER"))
    assert "another workspace" in place.watch.warnings()[0]
    assert place.keeper().team.workspace == "T0LOCAL"


async def test_the_rulebook_is_in_force_by_the_same_protocol(place):
    await place.look()
    assert (await place.look(rulebook=a_rulebook(30)), place.minutes) == ("50.00 USD", 30)
    await place.look(rulebook=a_rulebook(90))
    assert place.minutes == 30
    change = await place.waiting()
    assert change.differences == [["loosened", "rulebook: containment: isolate-for goes from 0:30:00 to 1:30:00"]]
    await place.press(ADA)
    assert place.minutes == 30
    await place.press(BEN)
    assert (place.minutes, place.keeper().version) == (90, change.version)
    assert await place.events() == [
        "rules.put_in_force",
        "rules.put_in_force",
        "rules.loosening_asked",
        "rules.agreed",
        "rules.put_in_force",
    ]
    await place.look(rulebook=a_rulebook(90).replace("isolate-for", "isolate"))
    assert place.minutes == 90
    assert "rulebook.yml line 2" in place.watch.warnings()[0]


async def test_what_an_earlier_release_put_in_force_keeps_its_name_until_files_are_offered(place, tmp_path):
    await place.look()
    earlier = "e" * 64
    async with place.database.transaction() as conn:
        await rules_store.keep(conn, earlier, place.offer().texts)
        await conn.execute("update actions.rules_change set version = %s", (earlier,))
    other = Place(place.database, tmp_path / "two")
    assert await other.keeper.follow()
    assert not await other.keeper.follow()
    assert other.keeper().version == earlier
    await other.look(rulebook=a_rulebook(61))
    assert (other.keeper().version, other.minutes) == (earlier, 60)
    await other.look()
    assert other.keeper().version == other.offer().rules.version


async def test_what_is_imported_waits_for_two_admins_and_says_so(place, tmp_path, monkeypatch, installation_url):
    for name, value in (
        ("COUNTERSIGN_HOME", str(tmp_path)),
        ("DATABASE_URL", installation_url),
        ("REDIS_URL", "redis://"),
    ):
        monkeypatch.setenv(name, value)
    settings, clock, sheet = Settings(), SystemClock(), tmp_path / "prices.csv"
    sheet.write_text("item_id,floor,ceiling\n9,1 USD,2 USD\n")
    company = Place(place.database, settings.company)
    await company.look()
    before = company.keeper()
    for write, said in ((False, "Nothing is written yet"), (True, "as version 2")):
        lines = await import_price_rules(settings, clock, sheet, write=write)
        assert [said in "\n".join(lines), "two admins" in lines[-2]] == [True, True]
    await company.watch.look()
    assert company.keeper() == before
    await company.press(ADA)
    await company.press(BEN)
    assert company.keeper().rulebook.prices is not None

    await rollback(settings, clock, before.version)
    await company.watch.look()
    assert company.offer().rules.rulebook.prices is None
    assert company.keeper().rulebook.prices is not None, "whether no bounds are tighter cannot be told"


async def test_what_loosens_is_the_kind_of_the_whole_offer(place):
    await place.look()
    place.write(a_policy(60))
    assert await place.keeper.offer(place.offer()) is Kind.LOOSENED
