"""Price rules from a spreadsheet: every wrong line is named, and what is right goes into the rulebook as it stands."""

from pathlib import Path

import pytest

from actions.price_sheet import SheetInvalid, completed, differences, merged, read_sheet
from actions.rule_file import read_text
from actions.rulebook import Rulebook

SAMPLE = Path("bot/sample/rulebook.yml").read_text(encoding="utf-8")
KNOWN = read_text("rulebook.yml", SAMPLE, Rulebook).content
HEAD = "item_id,floor,ceiling,competitor,url,find,at\n"


def test_rows_of_one_item_are_its_watched_pages() -> None:
    [(item, rule)] = read_sheet(
        HEAD + "9,1 USD,2 USD,A,https://a.example,json-ld,\n" + '9,,,B,https://b.example,csv,"sku=1, price"\n'
    ).items()
    assert (item, [each.competitor for each in rule.watch]) == ("9", ["A", "B"])


@pytest.mark.parametrize(
    "text", ["item;currency;floor;ceiling\n9;usd;1.50;2\n", "\ufeffSKU\tfloor\tceiling\n9\t1.50 USD\t2 USD\n"]
)
def test_spreadsheets_of_several_habits_are_read(text: str) -> None:
    assert str(read_sheet(text)["9"].floor) == "1.50 USD"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Line 1: it has no column item_id, floor, ceiling"),
        ("item_id,floor,ceiling,colour\n", "nobody knows the column colour"),
        ("item_id,floor,floor,ceiling\n", "it has floor twice"),
        ("item_id,floor,ceiling\n", "no row below its heading"),
        (HEAD + "9,one,2 USD,,,,\n", "Line 2: item 9: floor: 'one' is not money"),
        (HEAD + ",1 USD,2 USD,,,,\n", "Line 2: it has no item_id"),
        (HEAD + "9,3 USD,2 USD,,,,\n", "Line 2: item 9: no price is between 3.00 USD and 2.00 USD"),
        (HEAD + "9,1 USD,2 USD,,,,\n\n9,2 USD,,,,,\n", "Line 4: floor of item 9 is other than in line 2"),
        (HEAD + "9,1 USD,2 USD,A,ftp://a,json-ld,\n", "Line 2: item 9: "),
        (HEAD + "9,1 USD,2 USD,A,https://a.example,csv,\n", "a csv says where the price stands"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(text: str, said: str) -> None:
    with pytest.raises(SheetInvalid) as found:
        read_sheet(text)
    assert said in str(found.value)


def test_all_wrong_lines_are_named_at_once_in_their_order() -> None:
    with pytest.raises(SheetInvalid) as found:
        read_sheet(HEAD + "1,x,2 USD,,,,\n,1 USD,2 USD,,,,\n3,y,2 USD,,,,\n")
    places = [str(found.value).index(f"Line {line}:") for line in (2, 3, 4)]
    assert places == sorted(places)


def test_it_goes_into_the_rulebook_and_leaves_the_rest_and_its_comments_alone() -> None:
    rules = completed(KNOWN.prices, read_sheet(HEAD + "1000000100,15.50 USD,20 USD,,,,\n9,1 USD,2 USD,,,,\n"))
    after = merged(SAMPLE, rules)
    written = read_text("rulebook.yml", after, Rulebook).content
    assert written.version == KNOWN.version + 1
    assert written.prices is not None
    assert KNOWN.prices is not None
    assert str(written.prices.items["1000000100"].floor) == "15.50 USD"
    assert written.prices.items["1000000100"].watch == KNOWN.prices.items["1000000100"].watch, (
        "as nothing was said of it"
    )
    assert written.prices.items["1000000400"] == KNOWN.prices.items["1000000400"]
    assert (written.returns, written.containment) == (KNOWN.returns, KNOWN.containment)
    for comment in (line for line in SAMPLE.splitlines() if line.startswith("#")):
        assert comment in after
    assert differences(written.prices, rules) == []


def test_a_rulebook_without_prices_gets_the_section() -> None:
    written = read_text(
        "rulebook.yml", merged("version: 4\n", read_sheet("item,floor,ceiling\n9,1 USD,2 USD\n")), Rulebook
    )
    assert written.content.version == 5
    assert written.content.prices is not None
    assert list(written.content.prices.items) == ["9"]
