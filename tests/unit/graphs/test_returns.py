"""What a person's words about a return are taken to mean, and where they are asked rather than guessed at."""

import pytest

from actions.records import Customer, Order, OrderItem, Payment, PaymentMethod
from actions.rulebook import Destination, WishedItem
from core.money import Money
from graphs.plan import NoPlan
from graphs.return_words import Said, wished_exchange, wished_return
from graphs.workflows.returns import read_ask, wished_items


def _line(line: int, item_id: str, name: str) -> OrderItem:
    return OrderItem(line=line, item_id=item_id, name=name, price=Money(1000 + line, "USD"))


ORDER = Order(
    order_id="#W2611340",
    customer_id="james",
    status="delivered",
    currency="USD",
    items=[
        _line(1, "6469567736", "Water Bottle"),
        _line(2, "8426249116", "Office Chair"),
        _line(3, "1111111111", "T-Shirt"),
        _line(4, "2222222222", "T-Shirt"),
        _line(5, "6469567736", "Water Bottle"),
    ],
    payments=[Payment(kind="payment", amount=Money(9000, "USD"), payment_method_id="gift_card_1725971")],
)

_CARDS = [PaymentMethod(payment_method_id=name, kind="gift_card", label=name) for name in ("gift_1", "gift_2")]
JAMES = Customer(customer_id="james", name="James", email="james@example.com", payment_methods=_CARDS)


@pytest.mark.parametrize(
    ("text", "order_id", "items", "destination", "reason"),
    [
        ("#W2611340 items 6469567736 because it leaks", "#W2611340", ["6469567736"], None, "it leaks"),
        ("w2611340 all to gift card", "#W2611340", ["all"], "gift card", ""),
        ("#W2611340 6469567736 8426249116", "#W2611340", ["6469567736", "8426249116"], None, ""),
        ("#W2611340 6469567736 6469567736", "#W2611340", ["6469567736", "6469567736"], None, ""),
        ("everything from #W2611340 to paypal_123", "#W2611340", ["all"], "paypal_123", ""),
        ("#W2611340 6469567736 to credit_card_4466831", "#W2611340", ["6469567736"], "credit_card_4466831", ""),
        ("#W2611340 6469567736 reason: to gift card", "#W2611340", ["6469567736"], None, "to gift card"),
    ],
)
def test_the_words_of_a_request_say_which_order_which_items_where_to_and_why(
    text: str, order_id: str, items: list[str], destination: str | None, reason: str
) -> None:
    ask = read_ask(text)
    assert ask is not None
    assert (ask.order_id, ask.items, ask.destination, ask.reason) == (order_id, items, destination, reason)


@pytest.mark.parametrize("text", ["", "please give me my money back", "12345", "#12345"])
def test_words_without_an_order_number_ask_for_nothing(text: str) -> None:
    assert read_ask(text) is None


def test_an_item_named_by_its_name_is_found_in_the_order() -> None:
    assert wished_items(ORDER, ["the office chair from it"]) == [WishedItem(item_id="8426249116")]


def test_a_number_before_the_name_says_how_many() -> None:
    assert wished_items(ORDER, ["both water bottles"]) == [WishedItem(item_id="6469567736", count=2)]
    assert wished_items(ORDER, ["2 x Water Bottle"]) == [WishedItem(item_id="6469567736", count=2)]


def test_all_means_every_line_of_the_order() -> None:
    counts = {item.item_id: item.count for item in wished_items(ORDER, ["all"])}
    assert counts == {"6469567736": 2, "8426249116": 1, "1111111111": 1, "2222222222": 1}


def test_a_name_that_fits_two_kinds_of_item_is_asked_about() -> None:
    with pytest.raises(NoPlan, match="several kinds of T-Shirt"):
        wished_items(ORDER, ["the t-shirt"])


def test_a_name_that_is_not_in_the_order_is_answered_with_what_is() -> None:
    with pytest.raises(NoPlan, match="8426249116 \\(Office Chair\\)"):
        wished_items(ORDER, ["the toaster"])


def test_an_item_id_that_is_not_in_the_order_is_left_to_the_rulebook() -> None:
    assert wished_items(ORDER, ["9999999999"]) == [WishedItem(item_id="9999999999")]


def test_a_thing_the_order_does_not_have_is_not_left_out_in_silence():
    with pytest.raises(NoPlan, match="could not tell which items"):
        wished_items(ORDER, ["the office chair", "the toaster"])


def test_a_return_carries_all_that_was_said_and_not_only_what_follows_because():
    said = Said("#W2611340 8426249116, it arrived broken")
    ask = read_ask(said.words)
    assert ask is not None
    wish = wished_return(ORDER, JAMES, ask, said)
    assert (wish.reason, wish.words) == ("", "#W2611340 8426249116, it arrived broken")


def test_an_exchange_with_a_gift_card_leaves_it_to_the_rulebook_which_card_that_is():
    ask = read_ask("exchange 8426249116 for 4274709903 of #W2611340 with my gift card")
    assert ask is not None
    wish = wished_exchange(ORDER, JAMES, ask, [])
    assert (wish.destination, wish.payment_method_id) == (Destination.GIFT_CARD, None)
