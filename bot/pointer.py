"""What a button points at: an approval, the revision its card showed, the start of its digest. Never authority."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<approval_id>\w{1,64})\.(?P<revision>\d{1,9})\.(?P<digest16>[0-9a-f]{16})")


@dataclass(frozen=True)
class Pointer:
    """A parsed button value; a value that is none of ours points at nothing."""

    approval_id: str
    revision: int
    digest16: str

    @classmethod
    def parse(cls, value: str) -> "Pointer":
        """The pointer in `value`; one with an empty approval id when it is not of this form."""
        found = _FORM.fullmatch(value)
        if found is None:
            return cls("", 0, "")
        return cls(found["approval_id"], int(found["revision"]), found["digest16"])
