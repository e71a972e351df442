"""A press that this release gives no meaning decides nothing, whichever card it stands on and whatever it points at."""

from typing import Any, cast

import pytest

from bot.autonomy import AutonomyDesk
from bot.batches import BatchDesk
from bot.delivery import Delivery, Sender
from bot.desks import ClickDesk
from bot.doubts import DoubtDesk
from bot.intake import Desk
from bot.rehearsal import PromotionDesk
from bot.rules_watch import RulesDesk
from bot.slack.blocks import answers
from bot.undo import ErrandDesk

#: Whoever asks it anything fails.
NOBODY = cast(Any, object())
CLICKS = ClickDesk(NOBODY, NOBODY, NOBODY)
DESKS: dict[str, Desk] = {
    "approval.veto": CLICKS,
    "nothing.we_know": CLICKS,
    "rules.postpone": RulesDesk(NOBODY, NOBODY),
    "errand.postpone": ErrandDesk(NOBODY, NOBODY),
    "run.look": PromotionDesk(NOBODY, NOBODY, NOBODY),
    "autonomy.ask": AutonomyDesk(NOBODY, NOBODY),
    "batch.reject": BatchDesk(NOBODY, NOBODY, NOBODY, NOBODY),
    "doubt.maybe": DoubtDesk(NOBODY, NOBODY),
}


@pytest.mark.parametrize("press", DESKS)
async def test_a_button_of_another_release_is_no_answer(press: str) -> None:
    pressed = Delivery(
        delivery_id="click:1",
        kind="click",
        sender=Sender("U0CLEO", "T0LOCAL", None),
        workspace="T0LOCAL",
        channel="C0RETURNS",
        thread_ts=None,
        press=press,
        value="apr_1.1.0123456789abcdef",
    )
    effect = await DESKS[press].consider(pressed)
    assert await effect(NOBODY) == answers.unknown_button()
