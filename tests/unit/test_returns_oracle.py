"""Rulebook and policy against an oracle that was written from the written policy and the shop's additions alone."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from bot.sample.shop import sample_shop
from tests.support.returns_cases import RULES, Case, Shop, agrees
from tests.support.returns_oracle import ALONE, BUDGET, PERSON
from tests.support.returns_tangles import Tangles


@pytest.fixture(scope="module")
def sample() -> Shop:
    shop = sample_shop()
    return Shop(shop.orders, shop.products, shop.users)


@pytest.fixture(scope="module")
def public() -> Shop:
    data = os.environ.get("COUNTERSIGN_PUBLIC_DATA")
    if not data:
        pytest.skip("COUNTERSIGN_PUBLIC_DATA is not set: point it at the folder that holds retail/")
    folder = Path(data) / "retail"
    return Shop(*(json.loads((folder / f"{name}.json").read_text()) for name in ("orders", "products", "users")))


def _disagreements(shop: Shop, cases: list[Case]) -> list[object]:
    judged = [(case, shop.expected(case), shop.found(case)) for case in cases]
    return [(case.kind, case.asked, want, got) for case, want, got in judged if not agrees(want, got)]


def test_every_delivered_order_of_the_sample_shop_is_judged_as_the_oracle_says(sample: Shop) -> None:
    cases = [*sample.honest(), *sample.violations()]
    assert _disagreements(sample, cases) == []
    assert {sample.expected(case).refused for case in cases} >= {"", "once", "status", "destination", "not available"}


def test_requests_with_several_things_out_of_the_ordinary_are_judged_as_the_oracle_says(sample: Shop) -> None:
    tangles = Tangles(sample)
    cases = list(tangles.cases(20))
    assert _disagreements(tangles.shop, cases) == []
    answers = [tangles.shop.expected(case) for case in cases]
    assert {answer.refused or answer.who for answer in answers} == {*RULES, ALONE, PERSON, BUDGET}


def test_every_delivered_order_of_the_public_shop_is_judged_as_the_oracle_says(public: Shop) -> None:
    assert len(public.delivered) == 373
    assert _disagreements(public, list(public.honest())) == []


def test_violations_on_the_public_shop_are_judged_as_the_oracle_says(public: Shop) -> None:
    cases = list(public.violations())
    assert _disagreements(public, cases) == []
    refused = Counter(public.expected(case).refused for case in cases)
    assert refused.total() - refused[""] >= 400


def test_tangled_requests_on_the_public_shop_are_judged_as_the_oracle_says(public: Shop) -> None:
    tangles = Tangles(public)
    assert _disagreements(tangles.shop, list(tangles.cases(10))) == []
