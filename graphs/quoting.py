"""Other people's words inside what we say: literal, so that they mention nobody, link nowhere and hide nothing."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Co", "Cs"})


def literal(text: str) -> str:
    """`text` as it stands, its lines kept, with what Slack would act on or a reader would not see written out."""
    shown = "".join(char if char in "\n\t" or unicodedata.category(char) not in _HIDDEN else "�" for char in text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def quoted(text: str, most: int) -> str:
    """As `literal`, on one line and of at most `most` letters before they are written out."""
    line = " ".join(text.split())
    return literal(line if len(line) <= most else f"{line[: most - 1]}…")
