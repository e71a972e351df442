"""Without a shop nothing is known of one: a real team takes nobody's word for its records."""

import pytest

from actions.records import NoRecords, RecordsUnavailable


@pytest.mark.parametrize("ask", ["order", "customer", "product", "open_returns"])
async def test_whoever_asks_is_told_that_no_shop_is_connected(ask):
    with pytest.raises(RecordsUnavailable, match="No shop is connected here"):
        await getattr(NoRecords(), ask)(1)
