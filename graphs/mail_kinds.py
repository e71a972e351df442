"""What mail to a shop is about: the kinds, what is done about each, and sentences that show them."""

from dataclasses import dataclass
from typing import Literal

from actions.mailbox import Mail
from graphs.reasoner import Example


@dataclass(frozen=True)
class Kind:
    """One kind of mail: `act` on it, `notify` people of it, or `none` of both."""

    name: str
    does: Literal["act", "notify", "none"]
    folder: str
    """Where a mail of this kind is filed once it is dealt with."""
    means: str
    """For people: what it is."""


RETURN, ORDER, PRAISE = "return", "order", "praise"
UNKNOWN = Kind("unknown", "notify", "For people", "something I cannot place")

KINDS = {
    kind.name: kind
    for kind in (
        Kind(RETURN, "act", "Returns", "a wish to send something back or to exchange it"),
        Kind(ORDER, "act", "Answered", "a question about an order"),
        Kind("complaint", "notify", "For people", "a complaint"),
        Kind("business", "notify", "For people", "an invoice or an offer"),
        Kind(PRAISE, "none", "No action", "thanks"),
        Kind("newsletter", "none", "No action", "a newsletter or an advertisement"),
        Kind("automatic", "none", "No action", "an automatic notice"),
    )
}

_SHOWN = {
    RETURN: (
        "I would like to return the desk lamp from my order, it does not fit",
        "please refund me, the kettle arrived broken",
        "how do I send back the headphones and get my money back",
        "the shoes are too small, can I exchange them for a larger size",
        "I want to swap the blue bottle for the green one",
        "the item is defective, I want a refund",
        "can I give back the chair I bought, I changed my mind",
        "wrong colour delivered, please take it back",
    ),
    ORDER: (
        "where is my order, it has not arrived yet",
        "when will my parcel be delivered",
        "could you tell me the status of my order",
        "has my package been shipped already",
        "my delivery is late, where is it",
        "I have not received what I ordered last week",
        "what did I order and how was it paid",
    ),
    "complaint": (
        "I am very unhappy with your service and nobody answers me",
        "this is the third time I write, I will contact my lawyer",
        "your courier was rude and left the parcel in the rain",
        "I demand to speak with a manager about this",
        "this is unacceptable, I will leave a bad review",
    ),
    "business": (
        "please find attached our invoice for last month, payment due in 14 days",
        "we are a supplier and would like to offer you our products",
        "reminder: your invoice is overdue",
        "would you be interested in a partnership with our agency",
        "quotation for packaging material as requested",
    ),
    PRAISE: (
        "thank you so much, everything arrived well and I love it",
        "just wanted to say thanks for the quick help",
        "great service, thank you",
    ),
    "newsletter": (
        "our newsletter: this month's best deals, unsubscribe at any time",
        "50 percent off this weekend only, shop now",
        "new collection is here, view in browser, unsubscribe",
        "webinar invitation: grow your online shop, register today",
    ),
    "automatic": (
        "out of office: I am on vacation until Monday",
        "undelivered mail returned to sender, delivery status notification failure",
        "automatic reply: we have received your message",
        "do not reply to this email, this is an automated notification",
    ),
}
EXAMPLES = tuple(Example(kind, text) for kind, texts in _SHOWN.items() for text in texts)

#: How much of a mail decides what it is about: what comes after is signatures and quotes.
_TELLING = 1500


def telling(mail: Mail) -> str:
    """The words of a mail by which it is told what it is about."""
    return f"{mail.subject}\n{mail.text}"[:_TELLING]
