"""Loading the rule files: the sample ones are good; a bad one is named by file, line and reason."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

import bot.sample
from actions.action import Catalogue
from actions.policy import Verdict
from actions.policy_file import FILES, Texts, check_rules, first_policy
from actions.rule_file import PolicyInvalid
from actions.rulebook import first_rulebook
from actions.team import Approvers, first_team

SAMPLE = Path(__file__).parents[2] / "bot" / "sample"
ACTIONS = tuple(Catalogue.scan().names())

TEAM = """\
version: 1
workspace: T0LOCAL
people:
  U0ADA: {name: Ada, roles: [admin]}
  U0BEN: {name: Ben, roles: [approver], tier: 1}
"""
RULEBOOK = "version: 1\n"
HEAD = "version: 1\nbase_currency: USD\n"
GOOD_RULE = """\
  - id: refund-small
    because: Small refunds run alone.
    action: payment.refund
    when:
      amount_at_most: 50 USD
    verdict: allow
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policy.yml").write_text(f"{HEAD}rules:\n{GOOD_RULE}")
    (tmp_path / "team.yml").write_text(TEAM)
    (tmp_path / "rulebook.yml").write_text(RULEBOOK)
    return tmp_path


def load(folder: Path, **more):
    return check_rules(Texts.of(folder), **more)


def refusal(folder: Path, name: str, text: str | bytes, **more) -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PolicyInvalid) as caught:
        load(folder, **more)
    return str(caught.value)


def with_rule(**lines: str) -> str:
    entry = {
        "id": "one",
        "because": "So.",
        "action": "payment.refund",
        "verdict": "allow",
        **{key: value for key, value in lines.items()},
    }
    body = "\n".join(f"    {key}: {value}" for key, value in entry.items() if value)
    return f"{HEAD}rules:\n  -\n{body}\n"


# -- the sample company ----------------------------------------------------------------------------------------------


def test_the_sample_files_load_and_pass_their_own_tests():
    rules = load(SAMPLE, actions=Catalogue.scan().names())
    assert len(rules.policy.tests) >= 6
    assert re.fullmatch("[0-9a-f]{64}", rules.version)
    assert rules.rulebook.returns is not None


def test_each_band_of_the_sample_policy_can_be_answered_by_somebody():
    rules = load(SAMPLE)
    assert rules.team.eligible(Approvers(tier=1)) == ["U0ADA", "U0BEN", "U0CLEO"]
    assert rules.team.eligible(Approvers(tier=2)) == ["U0ADA", "U0CLEO"]


def test_the_sample_team_and_the_sample_workspace_have_the_same_people():
    workspace = yaml.safe_load((SAMPLE / "workspace.yml").read_text())
    team = load(SAMPLE).team
    assert {person["id"]: person["real_name"].split()[0] for person in workspace["people"]} == {
        user_id: member.name for user_id, member in team.people.items()
    }
    assert team.workspace == workspace["team"]["id"]
    channels = {channel["id"] for channel in workspace["channels"]}
    assert {mate.approvals_channel for mate in team.teammates if mate.approvals_channel} <= channels


@pytest.mark.parametrize("verdict", ["allow", "deny", "require_approval"])
def test_changing_any_verdict_of_the_sample_policy_fails_its_own_tests(tmp_path, verdict):
    text = (SAMPLE / "policy.yml").read_text()
    places = [found.span() for found in re.finditer(r"(?<=\n    verdict: )\w+", text)]
    for begin, end in places:
        if text[begin:end] == verdict:
            continue
        for name in FILES:
            shutil.copy(SAMPLE / name, tmp_path / name)
        asking = r"\n    (approvers|remind_after|escalate_\w+|fallback_\w+): .*"
        changed = re.sub(asking, "", text[:begin] + verdict + text[end:])
        said = refusal(tmp_path, "policy.yml", changed)
        assert any(words in said for words in ("this test expects", "this one never decides", "never runs alone"))


# -- a first start on a real workspace -------------------------------------------------------------------------------


def test_what_a_first_start_writes_loads_and_allows_nothing(tmp_path):
    (tmp_path / "team.yml").write_text(first_team("T123ABC", "U456DEF"))
    (tmp_path / "policy.yml").write_text(first_policy("EUR"))
    (tmp_path / "rulebook.yml").write_text(first_rulebook())
    rules = load(tmp_path, actions=ACTIONS)
    assert rules.policy.rules == []
    assert rules.policy.base_currency == "EUR"
    assert rules.team.workspace == "T123ABC"
    assert rules.team.eligible(Approvers(role="admin")) == ["U456DEF"]
    assert rules.team.eligible(Approvers()) == []
    assert rules.rulebook.returns is None


# -- the version -----------------------------------------------------------------------------------------------------


def test_the_version_ignores_comments_and_order_of_keys_and_nothing_else(folder):
    before = load(folder).version
    policy = (folder / "policy.yml").read_text()
    (folder / "policy.yml").write_text(f"# a comment\nbase_currency: USD\nversion: 1\nrules:\n{GOOD_RULE}")
    (folder / "rulebook.yml").write_text(f"# a comment\n{RULEBOOK}")
    assert load(folder).version == before
    (folder / "policy.yml").write_text(policy.replace("50 USD", "51 USD"))
    changed = load(folder).version
    (folder / "team.yml").write_text(TEAM.replace("[approver], tier: 1", "[approver], tier: 2"))
    other = load(folder).version
    (folder / "rulebook.yml").write_text("version: 2\n")
    assert len({before, changed, other, load(folder).version}) == 4


def test_the_version_does_not_depend_on_how_this_process_orders_a_set_of_roles(folder):
    (folder / "team.yml").write_text(TEAM.replace("[admin]", "[viewer, admin, requester, operator]"))
    written = load(folder).team.model_dump(mode="json")
    assert written["people"]["U0ADA"]["roles"] == ["admin", "operator", "requester", "viewer"]


# -- mistakes, each with its line ------------------------------------------------------------------------------------


def test_an_amount_without_a_currency_is_named_as_people_would_name_it(folder):
    text = (folder / "policy.yml").read_text().replace("50 USD", "50")
    assert refusal(folder, "policy.yml", text) == (
        "policy.yml line 8: rule refund-small: amount_at_most: '50' is not money. "
        "Write an amount and a currency, such as 50 USD."
    )


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ({"verdict": "alow"}, 8, "rule one: verdict: 'alow' is not one of 'allow', 'require_approval' or 'deny'"),
        ({"because": ""}, 5, "rule one: because: this is missing"),
        ({"verdict": ""}, 5, "rule one: verdict: this is missing"),
        ({"verdict": "", "verdikt": "allow"}, 8, "rule one: verdikt: this name is not known here"),
        ({"verdikt": "allow"}, 9, "rule one: verdikt: this name is not known here"),
        ({"when": "{amout_at_most: 5 USD}"}, 9, "rule one: amout_at_most: this name is not known here"),
        ({"when": "{amount_at_most: 5 EUR}"}, 9, "5.00 EUR is not in the base currency. Write the limit in USD"),
        ({"when": "{amount_at_most: 5.001 USD}"}, 9, "more decimal places than USD knows"),
        ({"when": "{amount_at_most: -5 USD}"}, 9, "'-5 USD' is below zero"),
        ({"when": "{amount_at_most: Infinity USD}"}, 9, "rule one: amount_at_most: 'Infinity"),
        ({"when": "{amount_at_most: NaN USD}"}, 9, "rule one: amount_at_most: 'NaN'"),
        ({"when": "{amount_above: 50 USD, amount_at_most: 50 USD}"}, 9, "no amount is above 50.00 USD and at most"),
        ({"when": "{unendorsed: true}"}, 8, "what untrusted text chose never runs alone"),
        ({"when": "{requester_role: boss}"}, 9, "rule one: requester_role: 'boss' is not one of"),
        ({"action": "Payment"}, 7, "rule one: action: 'Payment' is not an action"),
        ({"action": "'*.refund'"}, 7, "'*.refund' is not an action"),
        ({"approvers": "{tier: 1}"}, 9, "rule one: approvers: a rule that says allow asks nobody"),
        ({"expires_in": "4h"}, 9, "rule one: expires_in: a rule that says allow asks nobody"),
        ({"verdict": "require_approval", "expires_in": "4 hours"}, 9, "'4 hours' is not a duration"),
        ({"verdict": "require_approval", "expires_in": "0h"}, 9, "'0h' is not a duration"),
        ({"verdict": "require_approval", "approvers": "{tier: 4}"}, 9, "rule one: approvers: tier: 4 does not fit"),
        ({"verdict": "require_approval", "approvers": "{tier: 2}"}, 9, "an approver of tier 2 or higher, and nobody"),
        ({"verdict": "require_approval", "approvers": "{quorum: 2}"}, 9, "2 approvers, and 1 in team.yml can answer"),
        ({"verdict": "require_approval", "approvers": "{people: [U0NO]}"}, 9, "U0NO is not in team.yml"),
        ({"verdict": "require_approval", "approvers": "{people: [ben]}"}, 9, "'ben' is not the id of a Slack member"),
        ({"verdict": "require_approval", "approvers": "{people: [U0ADA]}"}, 9, "this asks Ada, and nobody"),
        ({"id": "Not An Id"}, 5, "id: 'Not An Id' does not fit"),
    ],
)
def test_a_mistaken_rule_is_refused_with_its_line_and_its_reason(folder, lines, line, said):
    message = refusal(folder, "policy.yml", with_rule(**lines))
    assert message.startswith(f"policy.yml line {line}: ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        ("# nothing but a comment\n", 1, "the file is empty"),
        ("version: 1\nrules: [\n", 3, "this is not YAML"),
        ("version: 1\nrules:\n\t- id: x\n", 3, "this is not YAML"),
        ("version: 1\nversion: 1\n", 2, "'version' is written twice"),
        (f"{HEAD}rules:\n  - id: a\n    id: b\n", 5, "'id' is written twice"),
        ("version: 1\nbase_currency: !!python/object:os.system x\nrules: []\n", 2, "this is not YAML"),
        ("version: 1\nbase_currency: 2026-99-99\nrules: []\n", None, "this is not YAML"),
        (b"version: 1\nbase_currency: \xff\n", 2, "this is not UTF-8"),
        ("version: 1\nbase_currency: U\x00SD\n", 2, "cannot stand in YAML"),
        ("version: 2\nbase_currency: USD\nrules: []\n", 1, "version: 2 is not one of 1"),
        ("version: 1\nrules: []\n", 1, "base_currency: this is missing"),
        ("version: 1\nbase_currency: usd\nrules: []\n", 2, "base_currency: 'usd' does not fit"),
        ("just words\n", 1, "'just words' does not fit"),
        (f"{HEAD}rules: none\n", 3, "rules: 'none' does not fit"),
        (f"{HEAD}rules:\n{GOOD_RULE}{GOOD_RULE}", 10, "rule refund-small: id: two rules are called 'refund-small'"),
        (f"{HEAD}approvals: {{channel: general}}\nrules: []\n", 3, "'general' is not the id of a Slack channel"),
    ],
)
def test_a_malformed_policy_file_is_refused_with_its_line_and_its_reason(folder, text, line, said):
    message = refusal(folder, "policy.yml", text)
    assert message.startswith(f"policy.yml line {line or ''}")
    assert said in message


def test_a_file_that_is_not_there_is_named_with_its_path(folder):
    (folder / "team.yml").unlink()
    with pytest.raises(PolicyInvalid, match=re.escape(f"team.yml is not at {folder / 'team.yml'}. Create it")):
        load(folder)


def test_a_rule_about_an_action_that_does_not_exist_is_refused_where_the_actions_are_known(folder):
    text = with_rule(action="payment.refnd", verdict="deny")
    message = refusal(folder, "policy.yml", text, actions=ACTIONS)
    assert message == (
        "policy.yml line 7: rule one: action: no action is called 'payment.refnd'. "
        f"The actions are {', '.join(ACTIONS)}."
    )
    assert load(folder).policy.rules[0].verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("deny", "this test expects deny, and allow by refund-small came out"),
        ("allow\n    by: refund-large", "this test expects allow by refund-large, and allow by refund-small came out"),
    ],
)
def test_a_failing_test_inside_the_file_is_named_with_what_came_out(folder, expect, said):
    given = "given: {action: payment.refund, amount: 5 USD}"
    test = f"tests:\n  - name: small ones\n    {given}\n    expect: {expect}\n"
    message = refusal(folder, "policy.yml", f"{HEAD}rules:\n{GOOD_RULE}{test}")
    assert message.startswith("policy.yml line 11: test small ones: ")
    assert said in message


def test_of_several_mistakes_the_first_line_is_named(folder):
    text = with_rule(verdict="alow").replace("base_currency: USD", "base_currency: usd")
    assert refusal(folder, "policy.yml", text).startswith("policy.yml line 2: base_currency: ")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (TEAM.replace("admin", "boss"), 4, "person U0ADA: roles: entry number 1: 'boss' is not one of"),
        (TEAM.replace("admin", "viewer"), 4, "people: nobody here is an admin"),
        (TEAM.replace(", tier: 1", ""), 5, "person U0BEN: tier: an approver needs a tier"),
        (TEAM.replace("tier: 1", "tier: 4"), 5, "person U0BEN: tier: 4 does not fit"),
        (TEAM.replace("[admin]", "[admin], tier: 2"), 4, "person U0ADA: tier: only an approver has a tier"),
        (TEAM.replace("[admin]", "[admin, auditor]"), 4, "one person cannot be both auditor and admin"),
        (TEAM.replace("[approver]", "[approver, guest]"), 5, "one person cannot be both guest and approver"),
        (f"{TEAM}solo: true\n", 6, "solo: Ada and Ben can approve here, and solo is for one person alone"),
        (TEAM.replace("U0BEN", "ben"), 5, "person ben: 'ben' is not the id of a Slack member"),
        (TEAM.replace("U0BEN", "U0ADA"), 5, "'U0ADA' is written twice"),
        (TEAM.replace("T0LOCAL", "local"), 2, "workspace: 'local' is not the id of a Slack workspace"),
        (f"{TEAM}enterprise: X1\n", 6, "enterprise: 'X1' is not the id of a Slack enterprise"),
        (
            f"{TEAM}teammates:\n" + "  - {name: Desk, purpose: x, workflows: [], actions: []}\n" * 2,
            8,
            "teammate Desk: name: two teammates are called 'Desk'",
        ),
    ],
)
def test_a_mistaken_team_is_refused_with_its_line_and_its_reason(folder, text, line, said):
    message = refusal(folder, "team.yml", text)
    assert message.startswith(f"team.yml line {line}: ")
    assert said in message


def sample_rulebook() -> str:
    return (SAMPLE / "rulebook.yml").read_text()


def line_of(text: str, part: str) -> int:
    return text[: text.index(part.strip())].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\nversion: 2", "\nversion: 0", "version: 0 does not fit"),
        ("statuses: [delivered]", "statuses: []", "returns: delivered-only: statuses: [] does not fit"),
        ("    source: shop", "    source: rumour", "same-item-once: source: 'rumour' is not one of 'policy' or 'shop'"),
        ("allowed: [original, gift_card]", "allowed: [cash]", "'cash' is not one of 'original' or 'gift_card'"),
        ("    statuses: [delivered]", "    status: [delivered]", "returns: delivered-only: status"),
    ],
)
def test_a_mistaken_rulebook_is_refused_with_its_line_and_its_reason(folder, old, new, said):
    text = sample_rulebook().replace(old, new, 1)
    message = refusal(folder, "rulebook.yml", text)
    assert said in message
    assert message.startswith(f"rulebook.yml line {line_of(text, new)}: ")


def test_a_rulebook_that_leaves_a_rule_out_is_refused(folder):
    text = re.sub(r"  same-item-once:\n.*\n.*\n", "", sample_rulebook())
    message = refusal(folder, "rulebook.yml", text)
    assert message == (
        f"rulebook.yml line {line_of(text, 'returns:') + 1}: returns: same-item-once: this is missing. Add it."
    )


def test_the_package_of_the_sample_company_holds_the_files():
    assert Path(next(iter(bot.sample.__path__))) == SAMPLE


LIMITS = """\
limits:
  - {id: a-day, because: A day has an end., action: payment.refund, amount: 100 USD, count: 9, within: 24h}
  - {id: never, because: No more than that., action: payment.*, amount: 500 USD, within: 7d, at_cap: deny}
"""


@pytest.mark.parametrize(
    ("given", "expect", "by"),
    [
        ("amount: 10 USD", "allow", "refund-small"),
        ("amount: 10 USD, used: {limit: a-day, amount: 90 USD, count: 8}", "allow", "refund-small"),
        ("amount: 10 USD, used: {limit: a-day, amount: 90.01 USD}", "require_approval", "limit:a-day"),
        ("amount: 10 USD, used: {limit: a-day, count: 9}", "require_approval", "limit:a-day"),
        ("amount: 10 USD, used: [{limit: a-day, count: 9}, {limit: never, amount: 491 USD}]", "deny", "limit:never"),
        ("amount: 10 EUR, used: {limit: never}", "deny", "limit:never"),
    ],
)
def test_a_limit_is_tried_in_the_file_by_what_it_has_used_up(folder, given, expect, by):
    test = f"  - {{name: t, given: {{action: payment.refund, {given}}}, expect: %s, by: '%s'}}\n"
    policy = f"{HEAD}rules:\n{GOOD_RULE}{LIMITS}tests:\n"
    (folder / "policy.yml").write_text(policy + test % (expect, by))
    assert len(load(folder).policy.tests) == 1
    other = "deny" if expect != "deny" else "allow"
    assert f"expects {other} by" in refusal(folder, "policy.yml", policy + test % (other, by))


@pytest.mark.parametrize("used", ["{limit: no-such}", "{limit: a-day, amount: 1 EUR}"])
def test_a_test_that_speaks_of_a_limit_that_is_not_there_is_refused(folder, used):
    test = f"tests:\n  - {{name: t, given: {{action: payment.refund, used: {used}}}, expect: deny}}\n"
    said = refusal(folder, "policy.yml", f"{HEAD}rules:\n{GOOD_RULE}{LIMITS}{test}")
    assert "Correct one" in said
