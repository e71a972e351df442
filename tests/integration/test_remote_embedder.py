"""An OpenAI-compatible embedding model is asked as memory asks any other, and its absence is said."""

import pytest
from aiohttp import web

from graphs.embedding import EmbeddingOptions, open_embedder
from memory.embedder import EmbedderAway


@pytest.fixture
async def server():
    """A model that gives each text its length, and what it was asked."""
    asked = []

    async def embeddings(request):
        body = await request.json()
        asked.append(body)
        if "down" in body["input"]:
            return web.json_response({"error": {"message": "no"}}, status=500)
        data = [
            {"object": "embedding", "index": place, "embedding": [float(len(text)), 1.0, 0.0]}
            for place, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/v1", asked
    await runner.cleanup()


async def test_it_embeds_texts_in_their_order_under_its_own_name_and_says_when_it_is_away(server):
    url, asked = server
    model = open_embedder(EmbeddingOptions("tiny", 3, api_key="k", base_url=url, timeout_seconds=5))
    assert model.model == "tiny/3"
    assert await model.passages(["ab", "abcd"]) == [[2.0, 1.0, 0.0], [4.0, 1.0, 0.0]]
    assert await model.query("abc") == [3.0, 1.0, 0.0]
    assert asked[0]["dimensions"] == 3
    assert asked[0]["input"] == ["ab", "abcd"]
    with pytest.raises(EmbedderAway, match="gave no answer"):
        await model.query("down")
    await model.close()
