"""Actions and workflows of an installation's own: a file beside team.yml that team.yml names, and nothing else."""

from pathlib import Path

import pytest

from actions.rule_file import PolicyInvalid
from bot.company import settle_sample_company
from bot.extending import catalogue_of, check_team, workflows_of

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "teammates.md"
#: The template of the page, as somebody would copy it.
OWN = PAGE.read_text("utf-8").partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def company(tmp_path: Path) -> Path:
    settle_sample_company(tmp_path)
    return tmp_path


def name_module(company: Path, *names: str) -> None:
    team = company / "team.yml"
    team.write_text(f"{team.read_text()}\nmodules: [{', '.join(names)}]\n")


def test_a_module_beside_team_yml_brings_its_action_and_its_workflow(company):
    (company / "our_greetings.py").write_text(OWN)
    name_module(company, "our_greetings")
    assert "hand.wave" in catalogue_of(company).names()
    assert "greeting" in [each.name for each in workflows_of(company)]
    assert "hand.wave" not in catalogue_of(company / "elsewhere").names()
    assert "No teammate runs greeting: nobody can start it." in check_team(company)


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "ModuleNotFoundError"), ("1 / 0", "ZeroDivisionError: division by zero"), ("def", "SyntaxError")],
)
def test_a_module_that_cannot_be_loaded_is_named_with_its_line(company, text, why):
    if text is not None:
        (company / "our_mistake.py").write_text(text)
    name_module(company, "our_mistake")
    with pytest.raises(PolicyInvalid, match=rf"team\.yml line \d+: .*our_mistake cannot be loaded: {why}"):
        catalogue_of(company)


def test_what_a_teammate_is_promised_and_does_not_exist_is_told(company):
    team = company / "team.yml"
    text = team.read_text().replace("workflows: [returns]", "workflows: [returns, juggling]")
    team.write_text(text.replace("[payment.refund,", "[payment.juggle,"))
    lines = check_team(company)
    assert "  there is no workflow juggling." in lines
    assert "  no action is called payment.juggle." in lines
