"""Brings price rules from a spreadsheet into rulebook.yml: shown first, written when that is said."""

import os
from dataclasses import replace
from pathlib import Path

from actions.policy_file import Texts
from actions.price_sheet import SheetInvalid, completed, differences, merged, read_sheet
from actions.rule_file import read_text
from actions.rulebook import Rulebook
from bot.extending import catalogue_of
from bot.local.home import using
from bot.policy_verbs import compared
from bot.rules_watch import offer_of
from bot.settings import Settings
from core.clock import Clock

_LARGEST = 5 * 2**20


async def import_price_rules(settings: Settings, clock: Clock, sheet: Path, *, write: bool) -> list[str]:
    """What the sheet changes in the rulebook, and where `write`, changes it; raises SheetInvalid or PolicyInvalid.

    What is written is an edit of the file like any other: what is looser than the rules in force waits for people.
    """
    path, texts = settings.company / "rulebook.yml", Texts.of(settings.company)
    known = read_text(path.name, texts.rulebook, Rulebook).content.prices
    rules = completed(known, read_sheet(_text(sheet)))
    found = differences(known, rules)
    if not found:
        return ["Nothing changes: the rulebook says all of this already."]
    texts = replace(texts, rulebook=merged(texts.rulebook, rules))
    offer = offer_of(texts, catalogue_of(settings.company).names())
    compares = await compared(settings, clock, offer)
    version = offer.rules.rulebook.version
    if not write:
        return [*found, f"Nothing is written yet. Add --write to make this version {version}.", *compares]
    with using(path):
        fresh = path.with_suffix(".yml.new")
        fresh.write_text(texts.rulebook, encoding="utf-8")
        os.replace(fresh, path)
    return [*found, f"Written to {path} as version {version}; what runs here reads it within seconds.", *compares]


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
