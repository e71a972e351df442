"""Seals: signed statements, written outside the database, of how long the audit log was and what stood in it."""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from core.chain import Chain, Tree
from core.errors import CountersignError
from core.secrets import Signer, signed_text, sync_folder

#: The name seals are signed under; each names its workspace too.
ORIGIN = "countersign.audit"

_KEYS = "verifier.keys"


class SealUnfit(CountersignError):
    """A seal's file cannot be read, or a seal in it is not signed by a key of ours."""


@dataclass(frozen=True)
class Seal:
    """One checkpoint: a C2SP signed note in the form of a transparency log's."""

    workspace: str
    size: int
    root: bytes
    head: bytes
    """The hash of the last row."""
    at: datetime
    note: str
    peaks: tuple[bytes, ...] = ()
    """Of the tree; not signed, but checked against the root that is."""

    def chain(self) -> Chain:
        """The walk that goes on behind this seal; raises SealUnfit where the peaks do not give the signed root."""
        tree = Tree(self.size, self.peaks)
        if tree.root() != self.root:
            raise SealUnfit(f"The seal of {self.workspace} over {self.size} rows was changed. Restore it from a copy.")
        return Chain(self.workspace, head=self.head, tree=tree)


def make_seal(signer: Signer, workspace: str, chain: Chain, at: datetime) -> Seal:
    """The signed statement of where this walk has come to."""
    root = chain.tree.root()
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = (
        f"{ORIGIN}/{workspace}",
        str(chain.tree.size),
        base64.b64encode(root).decode(),
        f"head {base64.b64encode(chain.head).decode()}",
        f"time {stamp}",
    )
    note = signer.sign("".join(f"{line}\n" for line in lines))
    return Seal(workspace, chain.tree.size, root, chain.head, at, note, tuple(chain.tree.peaks))


def read_note(note: str, verifier_keys: Sequence[str], peaks: Sequence[bytes] = ()) -> Seal:
    """The seal that a note holds; raises SealUnfit unless one of these keys has signed it."""
    text = signed_text(note, verifier_keys)
    if text is None:
        raise SealUnfit("A seal is not signed by a known key: it was changed, or its key is not here.")
    try:
        origin, size, root, head, time = text.splitlines()
        return Seal(
            origin.removeprefix(f"{ORIGIN}/"),
            int(size),
            base64.b64decode(root, validate=True),
            base64.b64decode(head.removeprefix("head "), validate=True),
            datetime.fromisoformat(time.removeprefix("time ")),
            note,
            tuple(peaks),
        )
    except ValueError as error:
        raise SealUnfit("A signed note is no seal of an audit log. Take it out of the folder.") from error


class SealFolder:
    """The files of all seals: one per workspace, a line each, and the public keys that check them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, signer: Signer) -> None:
        """Keep the public key beside the seals; keys of before stay, for they check older seals."""
        known = self.keys()
        if signer.verifier_key not in known:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.folder / _KEYS, "".join(f"{key}\n" for key in [*known, signer.verifier_key]))

    def keys(self) -> list[str]:
        """The public keys, oldest first."""
        path = self.folder / _KEYS
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def seals(self, workspace: str) -> list[Seal]:
        """Every seal of a workspace, oldest first; raises SealUnfit where one is not signed by a key of ours."""
        keys = self.keys()
        found = [self._seal(line, keys) for line in self._lines(workspace)]
        for seal in found:
            if seal.workspace != workspace:
                raise SealUnfit(f"A seal of {seal.workspace} stands among those of {workspace}. Take it out.")
        return sorted(found, key=lambda seal: seal.size)

    def newest(self, workspace: str) -> Seal | None:
        """The seal over most rows; raises SealUnfit."""
        lines = self._lines(workspace)
        return self._seal(lines[-1], self.keys()) if lines else None

    def workspaces(self) -> list[str]:
        """Those that have seals."""
        return sorted(unquote(path.stem) for path in self.folder.glob("*.seals"))

    def write(self, seal: Seal) -> None:
        """Add a seal so that a power cut leaves it whole or not at all."""
        path = self._path(seal.workspace)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        peaks = [base64.b64encode(peak).decode() for peak in seal.peaks]
        line = json.dumps({"note": seal.note, "peaks": peaks}, ensure_ascii=False)
        is_new = not path.exists()
        with path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    # What a power cut left of a line counts as nothing, and is ended so that it harms no other.
                    file.write(b"\n")
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.folder)

    @contextmanager
    def held(self) -> Generator[bool]:
        """True while no other process seals into this folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _path(self, workspace: str) -> Path:
        return self.folder / f"{quote(workspace, safe='')}.seals"

    def _lines(self, workspace: str) -> list[str]:
        path = self._path(workspace)
        return [line for line in path.read_text("utf-8").splitlines() if _is_whole(line)] if path.exists() else []

    def _seal(self, line: str, keys: Sequence[str]) -> Seal:
        try:
            data = json.loads(line)
            return read_note(data["note"], keys, [base64.b64decode(peak) for peak in data["peaks"]])
        except (KeyError, TypeError) as error:
            raise SealUnfit(f"A line of {self.folder} holds no seal. Restore the file from a copy.") from error


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
