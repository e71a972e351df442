"""The installation's own rule files: put there once, then the operator's to edit."""

import shutil
from pathlib import Path

from actions.action import Catalogue
from actions.policy import Rules
from actions.policy_file import FILES, Texts, check_rules, first_policy
from actions.rulebook import first_rulebook
from actions.team import first_team
from bot.local.home import make_folder, using

SAMPLE = Path(__file__).parent / "sample"
MANIFEST = Path(__file__).parent.parent / "manifest.yml"


def settle_sample_company(company: Path) -> None:
    """Put the sample company's files there, unless the operator has files already; raises HomeUnwritable."""
    make_folder(company)
    for name in FILES:
        if not (company / name).exists():
            with using(company / name):
                shutil.copyfile(SAMPLE / name, company / name)


def settle_first_company(company: Path, *, workspace: str, admin: str) -> None:
    """Put there a company of one admin and no other approver, allowing nothing; raises HomeUnwritable."""
    make_folder(company)
    texts = (first_policy(), first_team(workspace, admin), first_rulebook())
    for name, text in zip(FILES, texts, strict=True):
        if not (company / name).exists():
            with using(company / name):
                (company / name).write_text(text, encoding="utf-8")


def read_company(company: Path, catalogue: Catalogue) -> Rules:
    """The rules of those files, checked with the tests they hold; raises PolicyInvalid naming file, line and reason."""
    return check_rules(Texts.of(company), actions=catalogue.names())
