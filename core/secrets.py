"""Secrets by handle, keys that live in files outside the database, and the home of `cryptography`."""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from core.errors import CountersignError

_NONCE = 12
_ED25519 = b"\x01"


class SecretUnfit(CountersignError):
    """A key file cannot be used as it stands, and no other key may take its place."""


class KeyUnavailable(CountersignError):
    """The wrapping key cannot be reached, or this is not what it wrapped."""


def key_in(path: Path) -> bytes:
    """The 32 bytes kept in `path` for its owner only, chosen at random the first time; raises SecretUnfit."""
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode & 0o077
        text = path.read_text("ascii").strip()
    except OSError as error:
        raise SecretUnfit(
            f"The key file {path} cannot be used: {error.strerror}. Let this process's user own it."
        ) from error
    except ValueError:
        mode, text = 0, ""
    if mode:
        raise SecretUnfit(f"The key file {path} can be read by others than its owner. Run: chmod 600 {path}")
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SecretUnfit(f"{path} holds no key (32 bytes in base64). Restore that file from its backup.")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # Linked, not renamed: of two processes that start at the same time, the second finds the first one's key.
        os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """`plain` under `key`, fit for `about` and nothing else."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def unseal(key: bytes, sealed: bytes, about: str) -> bytes:
    """What was sealed; raises KeyUnavailable for another key, another purpose or changed bytes."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailable("This was sealed with another key, for another place, or was changed.") from error


class WrappingKey(Protocol):
    """What wraps the keys of people: a file, a keyring, a KMS; never in the database or its backup."""

    key_id: str
    """Names this key without telling anything of it."""

    async def wrap(self, key: bytes, about: str) -> bytes:
        """`key` as it may stand in the database; raises KeyUnavailable."""
        ...

    async def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """The key again; raises KeyUnavailable."""
        ...


class FileWrappingKey:
    """A wrapping key in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._key = key_in(path)
        self.key_id = hashlib.sha256(b"countersign wrapping key" + self._key).hexdigest()[:16]

    async def wrap(self, key: bytes, about: str) -> bytes:
        """`key` as it may stand in the database."""
        return seal(self._key, key, about)

    async def unwrap(self, wrapped: bytes, about: str) -> bytes:
        """The key again; raises KeyUnavailable where another file's key wrapped it."""
        return unseal(self._key, wrapped, about)


class Signer:
    """Signs notes as C2SP's signed-note has it, with an Ed25519 key in a file of its own."""

    def __init__(self, path: Path, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key_in(path))
        self.name = name
        self._public = self._key.public_key().public_bytes_raw()

    @property
    def verifier_key(self) -> str:
        """The public key in signed-note's form: name, key id, algorithm and key."""
        coded = base64.b64encode(_ED25519 + self._public).decode()
        return f"{self.name}+{_key_id(self.name, self._public).hex()}+{coded}"

    def sign(self, text: str) -> str:
        """The note: `text`, which ends in a newline, with its signature under it."""
        signature = _key_id(self.name, self._public) + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"


def signed_text(note: str, verifier_keys: Sequence[str]) -> str | None:
    """What one of these keys has signed in `note`, or None when none of them has."""
    text, divider, signatures = note.rpartition("\n\n")
    if not divider:
        return None
    for verifier_key in verifier_keys:
        name, _, rest = verifier_key.partition("+")
        key_id, _, coded = rest.partition("+")
        try:
            public = base64.b64decode(coded, validate=True)[1:]
            for line in signatures.splitlines():
                signature = base64.b64decode(line.removeprefix(f"— {name} "), validate=True)
                if signature[:4].hex() == key_id == _key_id(name, public).hex():
                    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], f"{text}\n".encode())
                    return f"{text}\n"
        except (ValueError, InvalidSignature):
            continue
    return None


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


class SecretMissing(CountersignError):
    """A secret is not where its handle says."""


class SecretSource(Protocol):
    """Gives secrets by name: an environment, a folder of files, a vault."""

    def get(self, name: str) -> SecretStr:
        """The secret of that name; raises SecretMissing."""
        ...


class EnvironmentSecrets:
    """Secrets in environment variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def get(self, name: str) -> SecretStr:
        """The variable `name`; raises SecretMissing where it is not set or empty."""
        value = self._environment.get(name, "")
        if not value:
            raise SecretMissing(f"{name} is not set in the environment or .env. Set it.")
        return SecretStr(value)


class FileSecrets:
    """Secrets in files of one folder, one each, as Docker and Kubernetes mount them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> SecretStr:
        """What stands in the file `name`, without the newline at its end; raises SecretMissing."""
        path = self._folder / name
        try:
            value = path.read_text("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise SecretMissing(f"{path} cannot be read as a secret. Put the secret there.") from error
        if not value:
            raise SecretMissing(f"{path} is empty. Put the secret there.")
        return SecretStr(value)


_HANDLE = re.compile(r"(?:env:(?P<env>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>[A-Za-z0-9_-][A-Za-z0-9_.-]*))")


class Secrets:
    """Finds a secret by its handle: `env:NAME` or `file:NAME`. Only handles are ever written down."""

    def __init__(self, env: SecretSource, file: SecretSource) -> None:
        self._sources = {"env": env, "file": file}

    @staticmethod
    def is_handle(text: str) -> bool:
        """True for a text that names a secret, which then says nothing of it."""
        return _HANDLE.fullmatch(text) is not None

    def get(self, handle: str) -> SecretStr:
        """The secret that `handle` names; raises SecretMissing, which never tells what was written there."""
        found = _HANDLE.fullmatch(handle)
        if found is None or found.lastgroup is None:
            raise SecretMissing("A secret is named by a handle such as env:STRIPE_API_KEY or file:stripe_api_key.")
        return self._sources[found.lastgroup].get(found[found.lastgroup])

    def present(self, text: str) -> list[str]:
        """Every secret whose handle stands anywhere in `text`, for the redactor."""
        values: list[str] = []
        for found in _HANDLE.finditer(text):
            try:
                values.append(self.get(found[0]).get_secret_value())
            except SecretMissing:
                continue
        return values
