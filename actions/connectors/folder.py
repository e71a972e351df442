"""Publishing into a folder of Markdown files on this machine: each written whole, never over another."""

import asyncio
import hashlib
import os
import tempfile
from datetime import timedelta
from pathlib import Path

from pydantic import field_validator

from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, Rejected, Reply, Unreachable
from actions.connectors.post_file import FileOptions, file_of, mark_of, post_id_of
from actions.intent import Record


class FolderOptions(FileOptions):
    """Which folder holds the site."""

    root: Path

    @field_validator("root")
    @classmethod
    def _is_absolute(cls, root: Path) -> Path:
        if not root.is_absolute():
            raise ValueError("write the folder's whole path, such as /srv/site.")
        return root


class FolderConnector:
    """Writes posts as files under one folder, which must be there; what stands in a file tells who wrote it."""

    name = "site"
    sandbox = False
    settles = EffectClass.PROBEABLE
    key_retention: timedelta | None = None

    def __init__(self, options: FolderOptions, *, account: str, window: timedelta) -> None:
        self._options = options
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The file's content or which file goes, purely; raises Rejected."""
        return file_of(record, receiver_key, self._options)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Write the file, or take it away; raises Rejected or Unreachable, and never leaves half a file."""
        del timeout
        act = self._write if outbound.method == "PUT" else self._remove
        try:
            return await asyncio.to_thread(act, outbound)
        except OSError as error:
            raise Unreachable(
                f"The site's folder cannot be written ({error.strerror}). Nothing was published."
            ) from error

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What the file says: ours, or None where it is another's or none; raises Inconclusive."""
        outbound = self.request(record, receiver_key)
        try:
            found = await asyncio.to_thread(self._read, outbound)
        except OSError as error:
            raise Inconclusive(f"The site's folder cannot be read ({error.strerror}). Ask again later.") from error
        is_there = found is not None and mark_of(found) == post_id_of(outbound)
        if outbound.method == "PUT":
            return self._reply(outbound) if is_there else None
        return None if is_there else {"post_id": post_id_of(outbound)}

    async def is_healthy(self) -> bool:
        """True when the folder is there and can be written."""
        return self._options.root.is_dir() and os.access(self._options.root, os.W_OK)

    def _path(self, outbound: Outbound) -> Path:
        root = self._options.root.resolve()
        path = (root / outbound.path).resolve()
        # A link in the folder could lead out of it.
        if not path.is_relative_to(root):
            raise Rejected("That file would stand outside the site's folder, so it was not touched.", code="outside")
        return path

    def _read(self, outbound: Outbound) -> bytes | None:
        if not self._options.root.is_dir():
            raise FileNotFoundError(2, "it is not there")
        path = self._path(outbound)
        return path.read_bytes() if path.exists() else None

    def _write(self, outbound: Outbound) -> Reply:
        there = self._read(outbound)
        if there is None:
            path = self._path(outbound)
            path.parent.mkdir(parents=True, exist_ok=True)
            # A draft of its own for each call: one that is linked already must not be written to again.
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            draft = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(outbound.body)
                draft.chmod(0o644)
                # Linked, not renamed: what somebody else has put there meanwhile stays.
                os.link(draft, path)
            except FileExistsError:
                there = path.read_bytes()
            finally:
                draft.unlink(missing_ok=True)
        if there is not None and mark_of(there) != post_id_of(outbound):
            raise Rejected(f"There is another {outbound.path} already. Choose another slug.", code="slug_taken")
        return self._reply(outbound)

    def _remove(self, outbound: Outbound) -> Reply:
        there = self._read(outbound)
        if there is not None and mark_of(there) != post_id_of(outbound):
            raise Rejected(f"{outbound.path} is another post by now, so it stays.", code="another_post")
        self._path(outbound).unlink(missing_ok=True)
        return {"post_id": post_id_of(outbound)}

    def _reply(self, outbound: Outbound) -> Reply:
        slug = outbound.path.rpartition("/")[2].partition(".")[0]
        version = hashlib.sha256(outbound.body).hexdigest()[:16]
        return {"post_id": post_id_of(outbound), "url": self._options.address(slug), "version": version}


async def _open(options: FolderOptions, opening: Opening) -> Opened:
    return Opened(FolderConnector(options, account=opening.account, window=opening.window))


FOLDER = Kind(
    name="folder",
    gives="site",
    summary="Publishes posts as Markdown files in a folder of this machine.",
    options=FolderOptions,
    open=_open,
    settles=EffectClass.PROBEABLE,
    region="this machine",
)
