"""What an action declares is what people read of it, everywhere, as soon as its file stands in the catalogue."""

import sys
from pathlib import Path

import pytest

from actions.action import Catalogue
from actions.approval import fields_of
from actions.policy_file import Texts, check_rules
from actions.rule_file import PolicyInvalid
from actions.rulebook import first_rulebook
from bot.action_page import Reach, guarded_of, page_of, rows_of
from bot.listings import page_of_actions
from bot.slack.blocks.approval_card import approval_card
from bot.switch import names_of, problem_with
from tests.support.cards import approval_view, shown

ROOT = Path(__file__).parents[2]
#: A file as an author writes it.
GIFT = '''
"""gift.give: gives something away."""

from datetime import timedelta

from pydantic import BaseModel

from actions.action import Call, Effect, action
from actions.ground import Ground
from actions.trusted import ORDER


class Gift(BaseModel):
    order_id: str
    to: str


class Given(BaseModel):
    gift_id: str


@action(
    "gift.give", connector="post", effect=Effect.REVERSIBLE, summary="Give for {order_id} to {to}", target="order_id",
    recipient="to", resolved={"order_id": ORDER},
)
async def give(args: Gift, call: Call) -> Given:
    """Give it once."""
    return Given(gift_id=(await call.send())["id"])


@give.preview
async def look(args: Gift, ground: Ground) -> list[tuple[str, str, str]]:
    return [("gifts", "0", "1")]


@give.compensation(give, within=timedelta(hours=36))
def back(args: Gift, done: Given) -> Gift:
    return args


BY_HAND = give.by_hand("Ask {to} to send it back.")
'''
TEAM = "version: 1\nworkspace: T0LOCAL\npeople:\n  U0ADA: {name: Ada, roles: [admin]}\n"
POLICY = """
version: 1
base_currency: USD
rules:
  - {id: gifts, because: Gifts are fine., action: gift.give, verdict: allow}
"""


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """A catalogue package of one file."""
    package = tmp_path / "a_catalogue"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "gift_give.py").write_text(GIFT)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Catalogue.scan("a_catalogue")
    for name in [name for name in sys.modules if name.split(".")[0] == "a_catalogue"]:
        del sys.modules[name]


def test_the_page_of_the_docs_is_current():
    page = (ROOT / "docs" / "actions.md").read_text("utf-8")
    assert page == page_of_actions(), "Run: countersign actions --page > docs/actions.md"


def test_one_file_makes_an_action_known_to_policy_to_cards_to_the_switch_to_the_listing_and_to_the_docs(catalogue):
    texts = Texts(POLICY, TEAM, first_rulebook())
    assert check_rules(texts, actions=catalogue.names()).policy.rules[0].action == "gift.give"
    with pytest.raises(PolicyInvalid, match=r"gift\.give"):
        check_rules(texts, actions=Catalogue.scan().names())

    action, args = catalogue.get("gift.give"), {"order_id": "#W1", "to": "Rita"}
    summary, fields = action.summarise(args), fields_of(action, args)
    card = shown(approval_card(approval_view(action="gift.give", summary=summary, fields=fields)))
    assert "Give for #W1 to Rita" in card
    assert "To: Rita" in card

    assert problem_with("action", "gift.give", names_of(catalogue, [])) == ""

    [row] = rows_of(catalogue, {"post": Reach("keyed (pigeon)", "loft_key (pigeon)")})
    assert row == {
        "action": "gift.give",
        "version": 1,
        "effect": "reversible",
        "connector": "post",
        "class": "keyed (pigeon)",
        "guarded": "order_id (order), to (no record)",
        "resolved": {"order_id": "order"},
        "taken back by": "gift.give within 36 h",
        "by hand": "Ask {to} to send it back.",
        "precheck": "",
        "preview": "yes",
        "needs": "loft_key (pigeon)",
        "summary": "Give for {order_id} to {to}",
    }

    page = page_of(catalogue, {})
    for said in (
        "## gift.give",
        "Give it once.",
        "gift.give within 36 h",
        "what changes",
        "endorsed where it is an order",
    ):
        assert said in page


def test_everything_that_is_guarded_and_shipped_says_which_record_endorses_it_or_that_none_does():
    catalogue = Catalogue.scan()
    without = {
        name: [each.removesuffix(" (no record)") for each in guarded_of(catalogue.get(name)) if "(no record)" in each]
        for name in catalogue.names()
    }
    # Where a member speaks, a post's own name, whose budget it is, an endpoint of the operator's: no record has these.
    assert {name: fields for name, fields in without.items() if fields} == {
        "budget.raise": ["whose"],
        "message.post": ["channel"],
        "order.exchange": ["difference"],
        "post.publish": ["slug"],
        "post.retract": ["slug"],
        "webhook.send": ["endpoint"],
    }
