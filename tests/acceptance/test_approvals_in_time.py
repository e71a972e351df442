"""Who may answer, and what is told when a card cannot be shown, on a running company over the page's own API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.company import settle_sample_company
from tests.support.asking import Orders, asked_for_approval, told, told_at_click
from tests.support.company import ADA, BEN, CLEO, RITA, Company, open_company
from tests.support.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> AsyncGenerator[Company]:
    """A company whose medium refunds ask the members of a user group, and whose approvals channel is gone."""
    home: Path = tmp_path_factory.mktemp("company") / "var"
    settle_sample_company(home / "company")
    policy, team = home / "company" / "policy.yml", home / "company" / "team.yml"
    written = policy.read_text()
    assert "approvers: {tier: 1}" in written
    assert "channel: C0APPROVALS" in written
    grouped = written.replace("approvers: {tier: 1}", "approvers: {tier: 1, group: S0SHOP}")
    policy.write_text(grouped.replace("channel: C0APPROVALS", "channel: C0GONE"))
    people = team.read_text()
    # A teammate's own approvals channel goes before the policy's.
    assert "approvals_channel: C0APPROVALS" in people
    people = people.replace("approvals_channel: C0APPROVALS", "approvals_channel: C0GONE")
    team.write_text(people.replace("teammates:", "groups: {S0SHOP: Shop}\n\nteammates:", 1))
    async with open_company(home, nursery) as started:
        yield started


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Orders that no other test has used."""
    return Orders()


async def test_only_a_member_of_the_user_group_answers(company: Company, orders: Orders) -> None:
    card = await asked_for_approval(company, orders, at_most=40_000)
    assert "from Shop" in card["text"]
    await told_at_click(company, ADA, card, "approval.approve", says="Only an approver from Shop")
    await told_at_click(company, BEN, card, "approval.approve", says="Approved")


async def test_who_stands_in_for_the_absent_answers_in_their_place(company: Company, orders: Orders) -> None:
    await told(company, BEN, f"delegate <@{ADA}> until tomorrow", says=f"<@{ADA}>")
    card = await asked_for_approval(company, orders, at_most=40_000)
    await told_at_click(company, ADA, card, "approval.approve", says="Approved")
    decided = await company.approval_card(card["run"], state="Approved")
    assert f"<@{ADA}> for <@{BEN}>" in decided["text"]
    # The company is shared: whoever comes next finds nobody standing in.
    await told(company, BEN, "back", says="Welcome back")


async def test_a_card_that_cannot_be_shown_is_told_to_whoever_asked_and_to_the_admin(
    company: Company, orders: Orders
) -> None:
    card = await asked_for_approval(company, orders, at_most=40_000)

    for person in (RITA, ADA):

        async def look(person: str = person) -> bool:
            async with company.http.get(f"{company.page}/local/api/channels", params={"as": person}) as answer:
                found = (await answer.json())["channels"]
            direct = [channel["id"] for channel in found if channel["id"].startswith("D")]
            said = [each["text"] for place in direct for each in await company.messages(channel=place, as_=person)]
            return any("could not be delivered to <#C0GONE>" in text for text in said)

        await company.until(look, f"{person} is told", seconds=20)
    await told_at_click(company, CLEO, card, "approval.approve", says="Approved")
