"""How far what somebody or something said may be trusted; the label travels with the value."""

from enum import StrEnum


class TrustLabel(StrEnum):
    """How far the source of a value may be trusted."""

    OPERATOR = "operator"
    MEMBER = "member"
    EXTERNAL = "external"
