"""Publishing into a branch of a git repository: one commit for each post, pushed only onto what was looked at."""

import asyncio
import os
import signal
import tempfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from actions.connecting import Kind, Opened, Opening
from actions.connector import EffectClass, Inconclusive, Outbound, OutcomeUnknown, Rejected, Reply, Unreachable
from actions.connectors.post_file import FileOptions, file_of, mark_of, post_id_of
from actions.intent import Record
from actions.rate import Rate
from core.clock import Clock
from core.errors import CountersignError

#: How often somebody else may push between our look and our push.
_TRIES = 3
#: What git says where the branch is not any more what it was when it was looked at.
_OVERTAKEN = ("stale info", "fetch first", "cannot lock ref", "failed to update ref", "incorrect old value")
#: Nothing of our own environment is handed to git: it holds secrets that are none of its business.
_PATH = "/usr/local/bin:/usr/bin:/bin"


class GitOptions(FileOptions):
    """Which branch of which repository holds the site."""

    repository: str = Field(pattern=r"^(https://[^\s@/]+/|ssh://|file:///|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:|/)[^\s]+$")
    branch: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,100}$")
    author_name: str = Field("Countersign", pattern=r"^[^<>\n]{1,100}$")
    author_email: str = Field("countersign@localhost", pattern=r"^[^<>\s]{3,200}$")
    user: str = "x-access-token"
    """With whose name a token is shown over https."""
    home: Path | None = None
    """Whose .ssh holds the key, where the repository is reached over ssh."""


class GitFailed(CountersignError):
    """A git command did not do what it was asked for."""


@dataclass(frozen=True)
class _Tip:
    """The end of the branch as it was just fetched."""

    commit: str
    content: bytes | None
    """What stands in the file, or None where there is none."""


class GitConnector:
    """Commits posts to a branch; a push that would overtake somebody else's is refused by git itself."""

    name = "site"
    sandbox = False
    settles = EffectClass.PROBEABLE
    key_retention: timedelta | None = None

    def __init__(
        self, options: GitOptions, token: SecretStr | None, *, account: str, window: timedelta, clock: Clock
    ) -> None:
        self._options = options
        self._token = token
        self._clock = clock
        self.account = account
        self.window = window

    def request(self, record: Record, receiver_key: str) -> Outbound:
        """The file's content or which file goes, purely; raises Rejected."""
        return file_of(record, receiver_key, self._options)

    async def send(self, outbound: Outbound, *, timeout: timedelta) -> Reply:
        """Commit and push; raises Rejected, Unreachable, or OutcomeUnknown where a push broke off."""
        pushing: list[str] = []
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                with tempfile.TemporaryDirectory(prefix="countersign-git-") as folder:
                    return await self._publish(_Git(Path(folder), self._environment()), outbound, pushing)
        except (TimeoutError, GitFailed) as error:
            why = str(error) or "The repository did not answer in time."
            if pushing:
                raise OutcomeUnknown(f"{why} Whether {pushing[-1][:12]} was pushed is open.") from error
            raise Unreachable(f"{why} Nothing was published.") from error

    async def find(self, record: Record, receiver_key: str) -> Reply | None:
        """What the branch says: published, or None where it is not; raises Inconclusive."""
        outbound = self.request(record, receiver_key)
        try:
            async with asyncio.timeout(self.window.total_seconds()):
                with tempfile.TemporaryDirectory(prefix="countersign-git-") as folder:
                    tip = await self._fetched(_Git(Path(folder), self._environment()), outbound.path)
        except (TimeoutError, GitFailed) as error:
            raise Inconclusive(f"{str(error) or 'The repository does not answer.'} Ask again later.") from error
        is_there = tip.content is not None and mark_of(tip.content) == post_id_of(outbound)
        if outbound.method == "PUT":
            return self._reply(outbound, tip.commit) if is_there else None
        return None if is_there else {"post_id": post_id_of(outbound)}

    async def is_healthy(self) -> bool:
        """True when the repository answers and has the branch."""
        try:
            async with asyncio.timeout(self.window.total_seconds()):
                ref = f"refs/heads/{self._options.branch}"
                git = _Git(Path("/"), self._environment())
                return bool(await git("ls-remote", "--exit-code", self._options.repository, ref))
        except (TimeoutError, GitFailed):
            return False

    async def _publish(self, git: "_Git", outbound: Outbound, pushing: list[str]) -> Reply:
        for _ in range(_TRIES):
            tip = await self._fetched(git, outbound.path)
            if (ended := self._as_it_is(outbound, tip)) is not None:
                return ended
            commit = await self._commit(git, outbound, tip)
            pushing.append(commit)
            refused = await self._push(git, commit, tip.commit)
            if not refused:
                return self._reply(outbound, commit) if outbound.method == "PUT" else {"post_id": post_id_of(outbound)}
            pushing.clear()
        raise GitFailed("Others push to the branch all the time.")

    def _as_it_is(self, outbound: Outbound, tip: _Tip) -> Reply | None:
        """The answer where the branch is already as it should be; raises Rejected where it is another's."""
        post_id = post_id_of(outbound)
        mark = None if tip.content is None else mark_of(tip.content)
        if outbound.method == "PUT":
            if tip.content is not None and mark != post_id:
                raise Rejected(f"There is another {outbound.path} already. Choose another slug.", code="slug_taken")
            return None if tip.content is None else self._reply(outbound, tip.commit)
        if tip.content is not None and mark != post_id:
            raise Rejected(f"{outbound.path} is another post by now, so it stays.", code="another_post")
        return {"post_id": post_id} if tip.content is None else None

    async def _fetched(self, git: "_Git", path: str) -> _Tip:
        options = self._options
        await git("init", "--quiet", "--bare", ".")
        await git("fetch", "--quiet", "--no-tags", "--depth=1", options.repository, f"refs/heads/{options.branch}")
        commit = (await git("rev-parse", "FETCH_HEAD")).decode("ascii").strip()
        listed = await git("ls-tree", "-z", commit, "--", path)
        content = await git("cat-file", "blob", f"{commit}:{path}") if listed else None
        return _Tip(commit, content)

    async def _commit(self, git: "_Git", outbound: Outbound, tip: _Tip) -> str:
        await git("read-tree", tip.commit)
        if outbound.method == "PUT":
            blob = (await git("hash-object", "-w", "--stdin", input=outbound.body)).decode("ascii").strip()
            await git("update-index", "--add", "--cacheinfo", f"100644,{blob},{outbound.path}")
        else:
            await git("update-index", "--index-info", input=f"0 {'0' * 40}\t{outbound.path}\n".encode())
        tree = (await git("write-tree")).decode("ascii").strip()
        verb = "Publish" if outbound.method == "PUT" else "Retract"
        words = f"{verb} {outbound.path}\n\nCountersign-Key: {post_id_of(outbound)}\n"
        made = await git("commit-tree", tree, "-p", tip.commit, "-F", "-", input=words.encode())
        return made.decode("ascii").strip()

    async def _push(self, git: "_Git", commit: str, seen: str) -> bool:
        """True when git refused because the branch has moved since it was looked at."""
        ref = f"refs/heads/{self._options.branch}"
        try:
            await git(
                "push", "--porcelain", f"--force-with-lease={ref}:{seen}", self._options.repository, f"{commit}:{ref}"
            )
        except GitFailed as error:
            # Only a refusal in the other side's own words says for sure that nothing was taken.
            said = str(error)
            if any(words in said for words in _OVERTAKEN):
                return True
            if "[remote rejected]" in said:
                raise Rejected(f"The repository refuses the push: {said}", code="push_refused") from error
            raise
        return False

    def _environment(self) -> Mapping[str, str]:
        options, now = self._options, f"{self._clock.now():%Y-%m-%dT%H:%M:%S+00:00}"
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", options.author_name), ("EMAIL", options.author_email), ("DATE", now))
        }
        config = {"core.hooksPath": "/dev/null", "protocol.ext.allow": "never", "gc.auto": "0"}
        if self._token is not None:
            # In the environment of git alone: arguments are seen by everybody on the machine.
            shown = b64encode(f"{options.user}:{self._token.get_secret_value()}".encode()).decode()
            config["http.extraHeader"] = f"Authorization: Basic {shown}"
        numbered = {
            f"GIT_CONFIG_{part}_{number}": text
            for number, pair in enumerate(config.items())
            for part, text in zip(("KEY", "VALUE"), pair, strict=True)
        }
        kept = {"PATH": _PATH, "LC_ALL": "C"} | ({"HOME": str(options.home)} if options.home else {})
        never = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
        return {**kept, **never, **who, **numbered, "GIT_CONFIG_COUNT": str(len(config))}

    def _reply(self, outbound: Outbound, commit: str) -> Reply:
        slug = outbound.path.rpartition("/")[2].partition(".")[0]
        return {"post_id": post_id_of(outbound), "url": self._options.address(slug), "version": commit}


class _Git:
    """Runs git in one folder, without hooks, prompts or the machine's own settings of ours."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    async def __call__(self, *arguments: str, input: bytes = b"") -> bytes:
        """What git prints; raises GitFailed with what it says."""
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=self._folder,
            env=dict(self._environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            printed, said = await process.communicate(input)
        finally:
            if process.returncode is None:
                # With the programs that it has begun: one of them would push late.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            words = " ".join((printed + said).decode("utf-8", "replace").split())[-600:]
            raise GitFailed(f"git {arguments[0]} failed: {words or process.returncode}.")
        return printed


async def _open(options: GitOptions, opening: Opening) -> Opened:
    token = opening.secrets.get("token")
    return Opened(GitConnector(options, token, account=opening.account, window=opening.window, clock=opening.clock))


GIT = Kind(
    name="git",
    gives="site",
    summary="Publishes posts as commits to a branch of a git repository.",
    options=GitOptions,
    open=_open,
    settles=EffectClass.PROBEABLE,
    may_need=("token",),
    rate=Rate(calls=30, per=timedelta(minutes=1)),
)
