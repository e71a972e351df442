"""Puts a week of alerts and the competitors' prices into a sandbox that has none."""

from pathlib import Path

from bot.sample.alerts import seed_week
from bot.sample.prices import seed_prices


def seed_watched(home: Path) -> None:
    """Seed what is watched, once; what stands there already stays."""
    seed_week(home)
    seed_prices(home)
