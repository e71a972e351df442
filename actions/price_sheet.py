"""Price rules as people keep them in a spreadsheet: one row for an item, or one for each page that is watched."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

import yaml
from pydantic import ValidationError

from actions.price_rules import ItemRule, PriceRules
from actions.rule_file import PolicyInvalid
from core.errors import CountersignError

_RULE = ("floor", "ceiling", "margin", "day-change", "aim", "by")
_WATCHED = ("competitor", "url", "find", "at")
_COLUMNS = ("item_id", "currency", *_RULE, *_WATCHED)
_MONEY = ("floor", "ceiling")
_MOST_LINES = 20_000
_MOST_SAID = 20
#: What a section begins with where the rulebook has none yet.
_FIRST = {"because": "Imported from a spreadsheet.", "margin": "0 %", "day-change": "5 %", "witnesses": 1}


class SheetInvalid(CountersignError):
    """A spreadsheet that is no list of price rules; the message names every line that is wrong, and nothing changed."""


def read_sheet(text: str) -> dict[str, ItemRule]:
    """The rule of each item in the sheet; raises SheetInvalid naming the lines."""
    reader = csv.DictReader(StringIO(text.lstrip("\ufeff")), dialect=_dialect(text))
    names = {name: _column(name) for name in reader.fieldnames or [] if name}
    _check_columns([_column(name) for name in reader.fieldnames or [] if name])
    gathered: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    wrong: list[tuple[int, str]] = []
    for row in _rows(reader):
        line = reader.line_num
        given = {names[name]: (value or "").strip() for name, value in row.items() if name in names}
        item, problem = given.get("item_id", ""), ""
        if any(given.values()):
            problem = "it has no item_id" if not item else _gather(gathered, given, lines.get(item))
            lines.setdefault(item, line)
        if problem:
            wrong.append((line, problem))
    rules, more = _made(gathered, lines)
    wrong += more
    if wrong:
        said = " ".join(f"Line {line}: {problem}." for line, problem in sorted(wrong)[:_MOST_SAID])
        rest = f" … and {len(wrong) - _MOST_SAID} more." if len(wrong) > _MOST_SAID else ""
        raise SheetInvalid(f"{said}{rest} Correct the sheet and import it again.")
    if not rules:
        raise SheetInvalid("The sheet has no row below its heading. Write a row for each item.")
    return rules


def _column(name: str) -> str:
    plain = name.strip().casefold().replace(" ", "-").replace("_", "-")
    return "item_id" if plain in {"item", "item-id", "sku"} else plain


def _rows(reader: "csv.DictReader[str]") -> Iterator[Mapping[str, str | None]]:
    try:
        for count, row in enumerate(reader):
            if count >= _MOST_LINES:
                raise SheetInvalid(f"The sheet has more than {_MOST_LINES:,} rows. Import it in parts.")
            yield row
    except csv.Error as error:
        raise SheetInvalid(f"Line {reader.line_num}: this is no CSV: {error}. Save the sheet as CSV.") from error


def _dialect(text: str) -> type[csv.Dialect]:
    class Sheet(csv.excel):
        delimiter = max(",;\t", key=text.partition("\n")[0].count)

    return Sheet


def _check_columns(columns: Sequence[str]) -> None:
    unknown = sorted(set(columns) - set(_COLUMNS))
    missing = [name for name in ("item_id", "floor", "ceiling") if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if not columns or unknown or missing or twice:
        said = [
            *([f"it has no column {', '.join(missing)}"] if missing else []),
            *([f"it has {', '.join(twice)} twice"] if twice else []),
            *([f"nobody knows the column {', '.join(unknown)}"] if unknown else []),
        ]
        raise SheetInvalid(f"Line 1: {'; '.join(said)}. The columns are {', '.join(_COLUMNS)}.")


def _gather(gathered: dict[str, dict[str, Any]], given: Mapping[str, str], before: int | None) -> str:
    """Add one row to what is known of its item; a sentence where it contradicts an earlier row."""
    rule = {name: given[name] for name in _RULE if given.get(name)}
    for name in _MONEY:
        if name in rule and given.get("currency") and rule[name].replace(".", "").replace(",", "").isdigit():
            rule[name] = f"{rule[name]} {given['currency'].upper()}"
    watched = {name: given[name] for name in _WATCHED if given.get(name)}
    known = gathered.setdefault(given["item_id"], {"rule": {}, "watch": []})
    differs = [name for name, value in rule.items() if known["rule"].get(name, value) != value]
    if differs:
        return f"{', '.join(differs)} of item {given['item_id']} is other than in line {before}"
    known["rule"].update(rule)
    if watched:
        known["watch"].append(watched)
    return ""


def _made(
    gathered: Mapping[str, Mapping[str, Any]], lines: Mapping[str, int]
) -> tuple[dict[str, ItemRule], list[tuple[int, str]]]:
    rules: dict[str, ItemRule] = {}
    wrong: list[tuple[int, str]] = []
    for item, known in gathered.items():
        try:
            rules[item] = ItemRule.model_validate({**known["rule"], "watch": known["watch"]})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"] if part != "watch")
            reason = str(first.get("ctx", {}).get("reason") or first["msg"].removeprefix("Value error, "))
            wrong.append((lines[item], f"item {item}: {f'{place}: ' if place else ''}{reason.rstrip('.')}"))
    return rules, wrong


def completed(before: PriceRules | None, rules: Mapping[str, ItemRule]) -> dict[str, ItemRule]:
    """These rules, each with the pages that are watched already where the sheet names none."""
    known = {} if before is None else before.items
    return {
        item: rule.model_copy(update={"watch": known[item].watch}) if item in known and not rule.watch else rule
        for item, rule in rules.items()
    }


def merged(rulebook: str, rules: Mapping[str, ItemRule]) -> str:
    """The text of rulebook.yml with these items' rules in place of those it has; comments elsewhere stay."""
    root = yaml.compose(rulebook, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise PolicyInvalid("rulebook.yml is not a list of sections. Restore it before anything is imported.")
    data: dict[str, Any] = yaml.safe_load(rulebook)
    section: dict[str, Any] = data.get("prices") or dict(_FIRST)
    items = {**section.get("items", {}), **{item: _plain(rule) for item, rule in rules.items()}}
    written = yaml.safe_dump(
        {"prices": {**section, "items": items}}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=200
    )
    lines = rulebook.splitlines(keepends=True)
    found = next(((key, value) for key, value in root.value if key.value == "prices"), None)
    if found is None:
        lines += ["\n", written]
    else:
        start, end = found[0].start_mark.line, _end_of(lines, found[1].end_mark.line)
        lines[start:end] = [written, "\n"]
    return _raised("".join(lines), int(data["version"]))


def _end_of(lines: Sequence[str], end: int) -> int:
    """Where the section ends, without the comments that introduce the next one."""
    while end > 0 and (end > len(lines) or not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _plain(rule: ItemRule) -> dict[str, Any]:
    plain = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name in _MONEY:
        plain[name] = str(getattr(rule, name)).replace(",", "")
    for name in ("margin", "day-change", "by"):
        if name in plain:
            plain[name] = f"{plain[name]} %"
    return plain


def _raised(text: str, version: int) -> str:
    was, now = f"version: {version}", f"version: {version + 1}"
    return "\n".join(now if line.split("#")[0].strip() == was else line for line in text.split("\n"))


def differences(before: PriceRules | None, rules: Mapping[str, ItemRule]) -> list[str]:
    """What the import would change, a line for each item."""
    known = {} if before is None else before.items
    found: list[str] = []
    for item, rule in rules.items():
        was = known.get(item)
        if was is None:
            found.append(f"+ {item}: {rule.floor} to {rule.ceiling}, {len(rule.watch)} pages watched")
        elif was != rule:
            found.append(f"~ {item}: {'; '.join(_changes(was, rule))}")
    return found


def _changes(was: ItemRule, now: ItemRule) -> list[str]:
    found = [
        f"{name.replace('_', '-')} {_shown(getattr(was, name))} → {_shown(getattr(now, name))}"
        for name in ("floor", "ceiling", "margin", "day_change", "aim", "by")
        if getattr(was, name) != getattr(now, name)
    ]
    return found + (["other pages are watched"] if was.watch != now.watch else [])


def _shown(value: object) -> str:
    return "(the section's)" if value is None else str(value)
