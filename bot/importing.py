"""Brings price rules from a spreadsheet into rulebook.yml: shown first, written when that is said."""

import os
from collections.abc import Sequence
from pathlib import Path

from actions.policy_file import check_rules
from actions.price_sheet import SheetInvalid, completed, differences, merged, read_sheet
from actions.rule_file import read_text, text_of
from actions.rulebook import Rulebook
from bot.local.home import using

_LARGEST = 5 * 2**20


def import_price_rules(sheet: Path, company: Path, *, actions: Sequence[str], write: bool) -> list[str]:
    """What the sheet changes in the rulebook, and where `write`, changes it; raises SheetInvalid or PolicyInvalid.

    What is written is offered to the rules in force as any other edit of the file is.
    """
    path = company / "rulebook.yml"
    before = text_of(path)
    known = read_text(path.name, before, Rulebook).content.prices
    rules = completed(known, read_sheet(_text(sheet)))
    found = differences(known, rules)
    if not found:
        return ["Nothing changes: the rulebook says all of this already."]
    after = merged(before, rules)
    rulebook = read_text(path.name, after, Rulebook).content
    check_rules(text_of(company / "policy.yml"), text_of(company / "team.yml"), rulebook, actions=actions)
    if not write:
        return [*found, f"Nothing is written yet. Add --write to make this version {rulebook.version}."]
    with using(path):
        fresh = path.with_suffix(".yml.new")
        fresh.write_text(after, encoding="utf-8")
        os.replace(fresh, path)
    return [*found, f"Written to {path} as version {rulebook.version}; what runs here reads it within seconds."]


def _text(sheet: Path) -> str:
    try:
        raw = sheet.read_bytes()[: _LARGEST + 1]
        if len(raw) > _LARGEST:
            raise SheetInvalid(f"{sheet} is larger than {_LARGEST // 2**20} MB. Import it in parts.")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise SheetInvalid(f"{sheet} cannot be read ({error.strerror}). Name a CSV file.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SheetInvalid(f"{sheet} line {line}: this is not UTF-8. Save the sheet as CSV in UTF-8.") from error
