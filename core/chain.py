"""The audit chain outside the database: each row's hash, the Merkle tree over all rows, and what is wrong where."""

import hashlib
from collections.abc import Sequence

_sha256 = hashlib.sha256


class Tree:
    """The Merkle tree of RFC 6962 over rows' hashes, kept as its peaks: enough to grow it and to know its root."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def add(self, row_hash: bytes) -> None:
        """Make the tree one row larger."""
        node, size, peaks = _sha256(b"\0" + row_hash).digest(), self.size, self.peaks
        while size & 1:
            node = _sha256(b"\1" + peaks.pop() + node).digest()
            size >>= 1
        peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """What stands for all rows so far."""
        if not self.peaks:
            return _sha256(b"").digest()
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = _sha256(b"\1" + peak + node).digest()
        return node


def proof_of(row_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The nodes that lead from the row at `index` (from 0) to the root of the tree over all of these."""
    level, path = [_sha256(b"\0" + row_hash).digest() for row_hash in row_hashes], list[bytes]()
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        above = [_sha256(b"\1" + level[place] + level[place + 1]).digest() for place in range(0, len(level) - 1, 2)]
        level = above + level[len(above) * 2 :]
        index >>= 1
    return path


def root_from(row_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that this row and path lead to in a tree of `size` rows, or None where they fit no such tree."""
    node, last, left = _sha256(b"\0" + row_hash).digest(), size - 1, list(path)
    if not 0 <= index < size:
        return None
    while last > 0:
        if index & 1 or index < last:
            if not left:
                return None
            other = left.pop(0)
            node = _sha256(b"\1" + (other + node if index & 1 else node + other)).digest()
        index >>= 1
        last >>= 1
    return None if left else node


class Chain:
    """A walk along one workspace's rows, in order; it stops at the first that does not follow."""

    def __init__(self, workspace: str, *, head: bytes = b"", tree: Tree | None = None) -> None:
        self._workspace = b"%d:%b" % (len(workspace.encode()), workspace.encode())
        self.head = head
        self.tree = tree or Tree()

    def take(self, line: bytes) -> str:
        """Go on by one row, given as tab-separated fields; what is wrong with it, as a sentence, or nothing."""
        fields = line.split(b"\t")
        if len(fields) != 8:
            return f"Row {self.tree.size + 1} was changed: a field of it holds a tab or a line break."
        seq, at, event, actor, subject, detail, prev, own = fields
        if int(seq) != self.tree.size + 1:
            return f"Row {self.tree.size + 1} is missing: row {int(seq)} stands in its place."
        if prev.decode() != self.head.hex():
            return f"Row {int(seq)} does not follow from the row before it: one of the two was changed."
        digest = _sha256(
            self.head
            + self._workspace
            + b"%d:%b%d:%b%d:%b%d:%b%d:%b%d:%b"
            % (
                *(len(seq), seq, len(at), at, len(event), event),
                *(len(actor), actor, len(subject), subject, len(detail), detail),
            )
        )
        if digest.hexdigest() != own.decode():
            return f"Row {int(seq)} was changed: its contents do not give its hash."
        self.head = digest.digest()
        self.tree.add(self.head)
        return ""
