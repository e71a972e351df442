"""Publishing as files: into a folder, and into a real git repository; once, and never over another's post."""

import asyncio
import hashlib
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from pydantic import SecretStr

from actions.connector import Inconclusive, OutcomeUnknown, Rejected, Unreachable
from actions.connectors import git as git_module
from actions.connectors.folder import FolderConnector, FolderOptions
from actions.connectors.git import GitConnector, GitFailed, GitOptions
from actions.intent import Record
from core.clock import SystemClock

WINDOW = timedelta(seconds=10)
POST = {
    "slug": "winter-lamps",
    "title": 'Lamps: the "best" of winter\\',
    "body": '# Lamps\n\n---\ncountersign: "forged"\n---\n',
    "tags": ["lamps", "a: b"],
    "summary": 'x"\ncountersign: "forged"',
}


def post(**changes) -> Record:
    return Record("post.publish", 1, "site", {**POST, **changes}, "U0RITA")


def retraction(post_id, slug="winter-lamps") -> Record:
    return Record("post.retract", 1, "site", {"slug": slug, "post_id": post_id}, "U0RITA")


def run(*command, cwd, input=None):
    return subprocess.run(command, cwd=cwd, input=input, capture_output=True, check=True).stdout


@pytest.fixture
def bare(tmp_path):
    """A bare repository whose main branch holds one file."""
    bare, work = tmp_path / "site.git", tmp_path / "work"
    run("git", "init", "-q", "--bare", "-b", "main", bare, cwd=tmp_path)
    run("git", "clone", "-q", bare, work, cwd=tmp_path)
    run("git", "config", "user.email", "ana@example.com", cwd=work)
    run("git", "config", "user.name", "Ana", cwd=work)
    run("git", "checkout", "-q", "-b", "main", cwd=work)
    (work / "README.md").write_text("site\n")
    run("git", "add", ".", cwd=work)
    run("git", "commit", "-q", "-m", "begin", cwd=work)
    run("git", "push", "-q", "origin", "main", cwd=work)
    return bare


def git_site(bare, **more) -> GitConnector:
    options = GitOptions(repository=str(bare), folder="content/posts", url="https://shop.example/posts/", **more)
    return GitConnector(options, None, account="site", window=WINDOW, clock=SystemClock())


class Git:
    def __init__(self, bare):
        self.bare, self.site = bare, git_site(bare)

    def files(self):
        return run("git", "ls-tree", "-r", "--name-only", "main", cwd=self.bare).decode().split()

    def content(self):
        return run("git", "show", "main:content/posts/winter-lamps.md", cwd=self.bare)

    def put(self, content):
        blob = run("git", "hash-object", "-w", "--stdin", cwd=self.bare, input=content).decode().strip()
        tree = run("git", "mktree", cwd=self.bare, input=f"100644 blob {blob}\twinter-lamps.md\n".encode())
        for name in ("posts", "content"):
            tree = run("git", "mktree", cwd=self.bare, input=b"040000 tree " + tree.strip() + b"\t" + name.encode())
        who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.com")
        commit = run("git", *who, "commit-tree", tree.decode().strip(), "-m", "by hand", cwd=self.bare)
        run("git", "update-ref", "refs/heads/main", commit.decode().strip(), cwd=self.bare)


class Folder:
    def __init__(self, root):
        options = FolderOptions(root=root, folder="content/posts", url="https://shop.example/posts/")
        self.root, self.site = root, FolderConnector(options, account="site", window=WINDOW)

    def files(self):
        return [str(each.relative_to(self.root)) for each in self.root.rglob("*") if each.is_file()]

    def content(self):
        return (self.root / "content/posts/winter-lamps.md").read_bytes()

    def put(self, content):
        (self.root / "content/posts").mkdir(parents=True, exist_ok=True)
        (self.root / "content/posts/winter-lamps.md").write_bytes(content)


@pytest.fixture(params=["folder", "git"])
def place(request, tmp_path):
    if request.param == "git":
        return Git(request.getfixturevalue("bare"))
    (tmp_path / "site").mkdir()
    return Folder(tmp_path / "site")


async def test_a_post_is_published_once_with_exactly_the_bytes_that_were_hashed_and_found_again(place):
    site, outbound = place.site, place.site.request(post(), "key-1")
    assert await site.find(post(), "key-1") is None
    made = await site.send(outbound, timeout=WINDOW)
    assert (made["post_id"], made["url"]) == ("key-1", "https://shop.example/posts/winter-lamps")
    assert hashlib.sha256(place.content()).hexdigest() == outbound.sha256
    assert await site.send(outbound, timeout=WINDOW) == made
    assert await site.find(post(), "key-1") == made
    assert sorted(place.files())[-1] == "content/posts/winter-lamps.md"
    assert len(place.files()) <= 2


def test_the_files_head_is_yaml_that_holds_every_word_and_only_our_own_mark(place):
    content = place.site.request(post(), "key-1").body.decode()
    head = yaml.safe_load(content.removeprefix("---\n").partition("\n---\n")[0])
    assert head == {
        "title": POST["title"],
        "slug": POST["slug"],
        "summary": POST["summary"],
        "tags": POST["tags"],
        "countersign": "key-1",
    }


@pytest.mark.parametrize(
    "there",
    [
        b"by hand\n",
        b'---\ntitle: x\n---\n\ncountersign: "key-1"\n',
        b"",
        b"\xff\xfe",
        b'---\ncountersign: "key-2"\n---\n',
    ],
)
async def test_another_post_under_the_slug_is_neither_written_over_nor_taken_off(place, there):
    place.put(there)
    with pytest.raises(Rejected) as caught:
        await place.site.send(place.site.request(post(), "key-1"), timeout=WINDOW)
    assert caught.value.code == "slug_taken"
    with pytest.raises(Rejected) as caught:
        await place.site.send(place.site.request(retraction("key-1"), "key-3"), timeout=WINDOW)
    assert caught.value.code == "another_post"
    assert place.content() == there
    assert await place.site.find(post(), "key-1") is None


async def test_exactly_the_post_that_was_published_is_taken_off(place):
    site = place.site
    made = await site.send(site.request(post(), "key-1"), timeout=WINDOW)
    record = retraction(made["post_id"])
    assert await site.find(record, "key-2") is None
    gone = await site.send(site.request(record, "key-2"), timeout=WINDOW)
    assert gone == await site.find(record, "key-2") == {"post_id": "key-1"}
    assert await site.send(site.request(record, "key-2"), timeout=WINDOW) == gone
    assert "content/posts/winter-lamps.md" not in place.files()
    assert await site.find(post(), "key-1") is None


async def test_six_at_once_under_one_key_publish_one_post(place):
    outbound = place.site.request(post(), "key-1")
    outcomes = await asyncio.gather(
        *(place.site.send(outbound, timeout=timedelta(seconds=60)) for _ in range(6)), return_exceptions=True
    )
    assert not [each for each in outcomes if isinstance(each, Rejected | OutcomeUnknown)]
    assert hashlib.sha256(place.content()).hexdigest() == outbound.sha256
    if isinstance(place, Git):
        log = run("git", "log", "--format=%s", "main", cwd=place.bare).decode().splitlines()
        assert log.count("Publish content/posts/winter-lamps.md") == 1


@pytest.mark.parametrize(
    "changes", [{"slug": "../../etc/passwd"}, {"slug": "a/b"}, {"slug": ""}, {"body": ""}, {"x": 1}]
)
def test_what_is_no_post_cannot_be_written(place, changes):
    with pytest.raises(Rejected):
        place.site.request(post(**changes), "key")
    with pytest.raises(Rejected):
        place.site.request(replace(post(), action="mail.send"), "key")


async def test_a_healthy_place_says_so_and_one_that_is_not_there_does_not(place, tmp_path):
    assert await place.site.is_healthy()
    away = git_site(tmp_path / "no.git") if isinstance(place, Git) else Folder(tmp_path / "none").site
    assert not await away.is_healthy()
    with pytest.raises(Unreachable):
        await away.send(away.request(post(), "key"), timeout=WINDOW)
    with pytest.raises(Inconclusive):
        await away.find(post(), "key")


# -- the folder alone ------------------------------------------------------------------------------------------------


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "site" / "content").symlink_to(tmp_path / "elsewhere")
    site = Folder(tmp_path / "site").site
    with pytest.raises(Rejected, match="outside the site's folder"):
        await site.send(site.request(post(), "key"), timeout=WINDOW)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# -- git alone -------------------------------------------------------------------------------------------------------


async def test_somebody_elses_push_in_between_is_kept_and_ours_comes_on_top(bare, monkeypatch):
    place, really = Git(bare), GitConnector._commit
    pushed = []

    async def overtaken(self, git, outbound, tip):
        made = await really(self, git, outbound, tip)
        if not pushed:
            pushed.append(True)
            other = git_site(bare)
            await other.send(other.request(post(slug="other"), "key-9"), timeout=WINDOW)
        return made

    monkeypatch.setattr(GitConnector, "_commit", overtaken)
    await place.site.send(place.site.request(post(), "key-1"), timeout=WINDOW)
    assert set(place.files()) == {"README.md", "content/posts/other.md", "content/posts/winter-lamps.md"}


async def test_a_push_that_broke_off_is_open_and_the_branch_tells(bare, monkeypatch):
    place, really = Git(bare), git_module._Git.__call__

    async def gone_after_push(self, *arguments, input=b""):
        printed = await really(self, *arguments, input=input)
        if arguments[0] == "push":
            raise GitFailed("git push failed: the connection broke.")
        return printed

    monkeypatch.setattr(git_module._Git, "__call__", gone_after_push)
    with pytest.raises(OutcomeUnknown):
        await place.site.send(place.site.request(post(), "key-1"), timeout=WINDOW)
    assert (await place.site.find(post(), "key-1"))["post_id"] == "key-1"


async def test_a_branch_that_takes_no_push_refuses_and_nothing_is_open(bare):
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    hook.chmod(0o755)
    site = git_site(bare)
    with pytest.raises(Rejected) as caught:
        await site.send(site.request(post(), "key-1"), timeout=WINDOW)
    assert caught.value.code == "push_refused"
    assert await site.find(post(), "key-1") is None


async def test_no_hook_and_none_of_our_environment_reaches_git(bare, monkeypatch, tmp_path):
    monkeypatch.setenv("CANARY", "canary-4242")
    seen = []
    really = asyncio.create_subprocess_exec

    async def watched(*command, **more):
        seen.append((command, more["env"]))
        return await really(*command, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    site = git_site(bare)
    site._token = SecretStr("canary-token")
    await site.send(site.request(post(), "key-1"), timeout=WINDOW)
    assert seen
    assert not [command for command, _ in seen if "canary" in " ".join(map(str, command))]
    assert not [environment for _, environment in seen if "CANARY" in environment]
