"""A remote embedding model behind an OpenAI-compatible address, as the callable that memory is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory.embedder import EmbedderAway, RemoteEmbedder, Vector

if TYPE_CHECKING:
    from langchain_openai import OpenAIEmbeddings
    from openai import DefaultAsyncHttpxClient


@dataclass(frozen=True)
class EmbeddingOptions:
    """One embedding model."""

    model: str
    dimensions: int
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout_seconds: float = 10


class _Asked:
    """The model behind its address; LangChain is loaded when it is first asked."""

    def __init__(self, options: EmbeddingOptions) -> None:
        self._options = options
        self._client: DefaultAsyncHttpxClient | None = None
        self._model: OpenAIEmbeddings | None = None

    def _opened(self) -> "OpenAIEmbeddings":
        from langchain_openai import OpenAIEmbeddings
        from openai import DefaultAsyncHttpxClient

        options = self._options
        self._client = DefaultAsyncHttpxClient()
        return OpenAIEmbeddings(
            model=options.model,
            dimensions=options.dimensions,
            api_key=options.api_key or "none",  # pyright: ignore[reportArgumentType] -- it takes a str as well
            base_url=options.base_url,
            timeout=options.timeout_seconds,
            max_retries=1,
            http_async_client=self._client,
            # Texts go as they are: not every address knows OpenAI's own tokens.
            check_embedding_ctx_length=False,
        )

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of these texts."""
        from openai import OpenAIError

        self._model = self._model or self._opened()
        try:
            return await self._model.aembed_documents(list(texts))
        except OpenAIError as error:
            raise EmbedderAway(
                f"The embedding model {self._options.model} gave no answer ({type(error).__name__})."
                " Recall goes by words until it does; check its address and key."
            ) from error

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()


def open_embedder(options: EmbeddingOptions) -> RemoteEmbedder:
    """An embedder that asks this model."""
    asked = _Asked(options)
    return RemoteEmbedder(options.model, options.dimensions, asked.embed, close=asked.close)
