"""How far the rulebook agrees with the oracle on a public shop, and how many returns still need a person.

Run from the root: COUNTERSIGN_PUBLIC_DATA=<folder> python -m benchmarks.returns
"""

import json
import os
from collections import Counter
from pathlib import Path

from tests.support.returns_cases import Case, Shop, agrees
from tests.support.returns_oracle import ALONE
from tests.support.returns_tangles import Tangles

#: How many tangled requests are put for each delivered order.
TIMES = 10


def main() -> None:
    """Judge every delivered order and every generated violation, and print what came of it."""
    folder = Path(os.environ["COUNTERSIGN_PUBLIC_DATA"]) / "retail"
    shop = Shop(*(json.loads((folder / f"{name}.json").read_text()) for name in ("orders", "products", "users")))
    honest, violations = list(shop.honest()), list(shop.violations())
    print(f"{len(shop.delivered)} delivered orders, {len(honest)} honest requests, {len(violations)} violations")
    for name, cases in (("honest", honest), ("violations", violations)):
        _compare(shop, name, cases)
    tangles = Tangles(shop)
    _compare(tangles.shop, "tangled", list(tangles.cases(TIMES)))
    for kind in ("whole", "part"):
        _share(shop, kind, [case for case in honest if case.kind == kind])


def _compare(shop: Shop, name: str, cases: list[Case]) -> None:
    tally: Counter[str] = Counter()
    for case in cases:
        want, got = shop.expected(case), shop.found(case)
        tally["disagree"] += not agrees(want, got)
        tally["refused"] += bool(want.refused)
        if not want.refused and not got.refused:
            tally["wrong amount"] += want.cents != got.cents
            tally["wrong payee"] += want.method != got.method
            tally["ran alone that should not"] += got.who == ALONE != want.who
    words = ", ".join(f"{tally[each]} {each}" for each in ("disagree", "wrong amount", "wrong payee"))
    print(
        f"{name}: {tally['refused']} of {len(cases)} refused; {words}, {tally['ran alone that should not']} let through"
    )


def _share(shop: Shop, kind: str, cases: list[Case]) -> None:
    answers = [answer for case in cases if not (answer := shop.found(case)).refused]
    asked = [answer for answer in answers if answer.who != ALONE]
    count, money = len(asked) / len(answers), sum(a.cents for a in asked) / sum(a.cents for a in answers)
    print(
        f"{kind} orders returned, limit 50.00 USD: {len(asked)} of {len(answers)} need a person ({count:.1%} by count,"
        f" {money:.1%} by sum of {sum(a.cents for a in answers) / 100:,.2f} USD); approve-everything: 100 %"
    )
    amounts = [answer.cents for answer in answers]
    for limit in (100, 250, 500, 1000, 2000):
        above = [cents for cents in amounts if cents > limit * 100]
        shares = len(above) / len(amounts), sum(above) / sum(amounts)
        print(f"  were the limit {limit} USD: {shares[0]:.1%} by count, {shares[1]:.1%} by sum")


if __name__ == "__main__":
    main()
