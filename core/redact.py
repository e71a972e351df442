"""Keeps secrets out of every text that leaves the process: logs, messages, errors."""

import re
from collections.abc import Iterable

_HIDDEN = "[secret]"
# Shapes that are secrets wherever they stand: Slack tokens, model keys, passwords in URLs, bearer headers.
_SHAPES = re.compile(
    r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|\bsk-[\w-]{16,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?i:(?<=bearer )[\w.~+/-]{8,})"
)


class Redactor:
    """Replaces known secret values, and whatever is shaped like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret that contains another is hidden whole.
        known = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        return _SHAPES.sub(_HIDDEN, text)
