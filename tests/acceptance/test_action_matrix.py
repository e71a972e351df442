"""Ways in × people × every action there is, in a whole company: nothing happens but what the policy page says."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import pytest
import pytest_asyncio

from bot.company import settle_sample_company
from tests.support import wishing_workflow
from tests.support.clicks import campaign
from tests.support.company import ADA, AMIR, BEN, CLEO, GENERAL, GUS, RITA, Json, open_company
from tests.support.matrix import EVERYBODY, effect_of, expected
from tests.support.nursery import Nursery
from tests.support.oracle import ALLOW, ASK, Expected
from tests.support.ways_in import Ground, everything_has_a_cause, open_beside, press_by, ways_in
from tests.support.wishing_workflow import WISHES

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What an amount limits, as the policy page wants it told; nobody has asked for a price before.
AMOUNTS = {"payment.refund": "20 USD", "order.exchange": "388.45 USD", "price.update": "0.50 USD"}
STARTERS, OTHERS = (ADA, BEN, CLEO, RITA), (AMIR, GUS)
#: What is done within: in Slack, and in our own tables.
_WITHIN = "('message.post', 'budget.raise')"
#: What takes back what nobody did, or goes to an endpoint that is not there, never happens.
_NEVER = {"order.restore", "post.retract", "webhook.send"}
MATE = """
  - name: Wisher
    purpose: Wishes.
    workflows: [wish]
    actions: ["*"]
modules: [wishing_workflow]
"""

WAYS = ways_in("wish", "{}", GENERAL)


@dataclass(frozen=True)
class Cell:
    """Who wished for which action by which way, and what the page says of it."""

    way: str
    who: str
    action: str
    number: int

    @property
    def text(self) -> str:
        """The words of the request."""
        return f"{self.action} {self.number}"

    @property
    def says(self) -> Expected:
        """What the policy page says of it."""
        return expected(effect_of(self.action, requester=self.who, amount=AMOUNTS.get(self.action), workflow="wish"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Ground]:
    """A company with a workflow of its own that wishes for whatever it is told."""
    home = tmp_path_factory.mktemp("wishes") / "var"
    settle_sample_company(home / "company")
    team = home / "company" / "team.yml"
    team.write_text(team.read_text().rstrip("\n") + MATE)
    copyfile(Path(wishing_workflow.__file__), home / "company" / "wishing_workflow.py")
    async with open_company(home, nursery) as company, open_beside(company) as beside:
        yield beside


async def test_whatever_is_wished_for_by_any_way_in_happens_only_as_the_policy_page_says(ground: Ground) -> None:
    cells = list(_cells(ground))
    for cell in cells:
        await WAYS[cell.way](ground, cell.who, cell.text)
    for place, who in enumerate(OTHERS):
        for wish in WAYS.values():
            await wish(ground, who, f"message.post {1000 + place}")
    await ground.company.until(lambda: _all_there(ground, cells), "every wish has become a run", seconds=120)
    await ground.at_rest()

    wishes = await _wishes(ground)
    assert set(wishes) == {cell.text for cell in cells}, "and of those who may not ask, none"
    for cell in cells:
        _stands_as_the_page_says(cell, wishes[cell.text])
    await everything_has_a_cause(ground)
    await _wrong_people_press(ground, cells, wishes)
    assert await _wishes(ground) == wishes, "whoever may not answer changes nothing"

    for cell in cells:
        if wishes[cell.text]["approval"] and cell.says.who:
            await _approve(ground, cell.says.who[0], wishes[cell.text])
    await ground.at_rest()
    ended = await _wishes(ground)
    for cell in cells:
        _ended_as_people_said(cell, ended[cell.text])
    assert {text.split()[0] for text, wish in ended.items() if wish["state"] == "done"} == set(_known(ground)) - _NEVER
    await everything_has_a_cause(ground)
    await _the_outside_saw_each_done_one_once(ground)


def _cells(ground: Ground) -> list[Cell]:
    """Each way for each action, by people in turn; in the campaign by everybody."""
    found: list[Cell] = []
    for row, action in enumerate(_known(ground)):
        for column, way in enumerate(WAYS):
            asking = STARTERS if campaign() else [STARTERS[(row + column) % len(STARTERS)]]
            found += [Cell(way, who, action, len(asking) * column + place) for place, who in enumerate(asking)]
    return found


def _known(ground: Ground) -> list[str]:
    return [name for name in ground.installation.catalogue.names() if name in WISHES]


async def _all_there(ground: Ground, cells: list[Cell]) -> bool:
    [found] = await ground.rows("select count(*) as many from graphs.run where workflow = 'wish'")
    return found["many"] >= len(cells)


async def _wishes(ground: Ground) -> dict[str, Json]:
    """By the words of each request: how its run, its one wish and the question about it stand."""
    rows = await ground.rows(
        "select distinct on (r.run_id) r.request ->> 'text' as text, r.state as run,"
        " coalesce(r.outcome, '') as outcome,"
        " i.action, i.state, r.run_id, p.approval_id, p.state as approval, p.quorum, p.revision, p.digest"
        " from graphs.run r left join actions.intent i on i.run_id = r.run_id and i.step = 'wish'"
        " left join actions.approval p on p.intent_id = i.intent_id where r.workflow = 'wish'"
        " order by r.run_id, p.asked_at desc"
    )
    assert len({row["text"] for row in rows}) == len(rows), "one run for each wish"
    return {row["text"]: row for row in rows}


def _stands_as_the_page_says(cell: Cell, wish: Json) -> None:
    if wish["action"] is None:
        assert "is not set up" in wish["outcome"], cell
    elif cell.says.verdict == ALLOW:
        assert (wish["run"], wish["state"], wish["approval"]) == ("done", "done", None), cell
    else:
        assert cell.says.verdict == ASK
        assert (wish["run"], wish["approval"], wish["quorum"]) == ("waiting", "pending", cell.says.quorum), cell


async def _wrong_people_press(ground: Ground, cells: list[Cell], wishes: dict[str, Json]) -> None:
    """Everybody who may not answer presses Approve on every card."""
    for cell in cells:
        wish = wishes[cell.text]
        if wish["approval"]:
            value = f"{wish['approval_id']}.{wish['revision']}.{wish['digest'][:16]}"
            for who in (*(each for each in EVERYBODY if each not in cell.says.who), "U0BOT"):
                await ground.deliver(press_by(who, "approval.approve", value))
    await ground.all_handled()


async def _approve(ground: Ground, who: str, wish: Json) -> None:
    value = f"{wish['approval_id']}.{wish['revision']}.{wish['digest'][:16]}"
    await ground.deliver(press_by(who, "approval.approve", value))


def _ended_as_people_said(cell: Cell, wish: Json) -> None:
    if cell.says.verdict != ASK or wish["action"] is None:
        return
    if not cell.says.who or (cell.action == "host.isolate" and wish["approval"] == "pending"):
        # Whoever asked is the only one who could answer; or a cap was reached meanwhile, and others are asked.
        assert (wish["state"], wish["approval"]) == ("awaiting", "pending"), cell
    else:
        # What the outside does not have, or has otherwise by now, does not happen.
        assert wish["state"] in {"done", "refused", "failed"}, cell
        assert wish["approval"] == "approved", cell


async def _the_outside_saw_each_done_one_once(ground: Ground) -> None:
    done = await ground.rows(
        "select v.receiver_key from actions.intent i"
        " join actions.revision v on v.intent_id = i.intent_id and v.revision = i.revision"
        f" where i.state = 'done' and i.action not in {_WITHIN}"
    )
    seen = [each["key"] for log in (await ground.outside()).values() for each in log]
    assert sorted(seen) == sorted(row["receiver_key"] for row in done)
