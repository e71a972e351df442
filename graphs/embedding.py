"""A remote embedding model behind an OpenAI-compatible address, as the callable that memory is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from memory.embedder import EmbedderAway, RemoteEmbedder, Vector


@dataclass(frozen=True)
class EmbeddingOptions:
    """One embedding model."""

    model: str
    dimensions: int
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout_seconds: float = 10


def open_embedder(options: EmbeddingOptions) -> RemoteEmbedder:
    """An embedder that asks this model; loading LangChain waits until it is first asked."""

    async def embed(texts: Sequence[str]) -> list[Vector]:
        from langchain_openai import OpenAIEmbeddings
        from openai import OpenAIError

        model = OpenAIEmbeddings(
            model=options.model,
            dimensions=options.dimensions,
            api_key=options.api_key or "none",  # pyright: ignore[reportArgumentType] -- it takes a str as well
            base_url=options.base_url,
            timeout=options.timeout_seconds,
            max_retries=1,
            # Texts go as they are: not every address knows OpenAI's own tokens.
            check_embedding_ctx_length=False,
        )
        try:
            return await model.aembed_documents(list(texts))
        except OpenAIError as error:
            raise EmbedderAway(
                f"The embedding model {options.model} gave no answer ({type(error).__name__})."
                " Recall goes by words until it does; check its address and key."
            ) from error

    return RemoteEmbedder(options.model, options.dimensions, embed)
