"""What reads like an order to a machine rather than something to remember: it waits for a person."""

import re

from core.trust import TrustLabel

#: Nobody says this to a colleague.
_ORDERS = (
    (
        "it tells a machine to drop its instructions",
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|all|any|your|system|"
        r"safety)\b.{0,40}\b(?:instruction|prompt|rule|polic|guideline|message|context|restriction)",
    ),
    (
        "it speaks of a system prompt",
        r"\b(?:system|developer)\s+(?:prompt|message|instruction)|<\|?/?(?:system|im_start)",
    ),
    (
        "it gives a machine another part to play",
        r"\byou\s+are\s+(?:now|no longer)\b.{0,40}\b(?:assistant|ai|model|bot|agent|admin|administrator|mode|dan)\b"
        r"|\b(?:act|behave|respond)\s+as\s+(?:if\s+you\s+(?:are|were)|an?\s+(?:admin|unrestricted|developer))",
    ),
    (
        "it tells a machine what to do from now on",
        r"\b(?:from now on|in (?:the )?future|whenever|every time|each time|when(?:ever)? (?:someone|anyone|a user|"
        r"asked))\b.{0,80}\b(?:you (?:must|should|will|have to|shall)|always|never|answer|reply|respond|say|approve|"
        r"recommend|pretend)\b.{0,60}\b(?:approve|approved|refund|without (?:asking|approval)|automatically|"
        r"recommend|pre-?approved|not tell|do not mention)",
    ),
    (
        "it claims an approval for a machine",
        r"\b(?:pre-?approved|auto-?approve|no approval (?:is )?(?:needed|required))\b",
    ),
    (
        "it wants something kept from people",
        r"\b(?:do not|don'?t|never)\s+(?:tell|inform|mention|show|reveal|alert)\b.{0,40}"
        r"\b(?:user|human|admin|approver|anyone|anybody|operator|team)\b",
    ),
    (
        "it tells a machine what to remember of itself",
        r"\bremember\s+(?:that\s+)?you\b|\b(?:store|save|add)\b.{0,30}\b"
        r"(?:your|long-?term)\s+memory\b",
    ),
)
#: From outside, an order to do something is one too.
_FROM_OUTSIDE = (
    (
        "somebody outside tells a machine to act",
        r"^[^\w\n]*(?:please\s+)?(?:immediately\s+|now\s+|urgently\s+)?(?:refund|approve|transfer|wire|pay|send|forward|"
        r"delete|release|unblock|grant|disable|execute|run|call|update|change)\b.{0,80}\b(?:all|every|account|iban|bank|"
        r"payment|password|access|money|funds|invoice|customer|order|address|policy|rule)",
    ),
    (
        "it addresses a machine",
        r"\b(?:dear|hello|hi|attention|note to)\s+(?:the\s+)?(?:ai|assistant|agent|bot|model|llm|system)\b"
        r"|\b(?:ai|assistant|agent|bot|llm)s?\s*[:,]\s*(?:please|you|do|always|never)\b",
    ),
)
_STRICT = tuple((reason, re.compile(form, re.IGNORECASE | re.DOTALL)) for reason, form in _ORDERS)
_STRICTER = tuple(
    (reason, re.compile(form, re.IGNORECASE | re.DOTALL | re.MULTILINE)) for reason, form in _FROM_OUTSIDE
)
_MOST = 50_000


def suspicion(text: str, trust: TrustLabel) -> str:
    """Why this reads like an order to a machine; empty where it does not, or an operator says it."""
    if trust is TrustLabel.OPERATOR:
        return ""
    forms = _STRICT if trust is TrustLabel.MEMBER else (*_STRICT, *_STRICTER)
    return next((reason for reason, form in forms if form.search(text[:_MOST])), "")
