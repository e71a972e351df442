"""Briefs as people write them: on several lines, or on the one line that a command has."""

import pytest

from graphs.drafting import read_brief


@pytest.mark.parametrize(
    ("text", "title", "audience", "points"),
    [
        ("Title: Boards\nAudience: cooks\nPoints: oil; water\nHow to care", "Boards", "cooks", ["oil", "water"]),
        ("Title: Boards; Audience: cooks; Points: oil; water", "Boards", "cooks", ["oil", "water"]),
        ("How to choose a lamp; Audience: readers; Points: light, height", "", "readers", ["light", "height"]),
        ("The point: audience matters; write about kettles", "", "", []),
    ],
)
def test_what_is_named_is_found_wherever_its_name_begins(
    text: str, title: str, audience: str, points: list[str]
) -> None:
    brief = read_brief(text)
    assert (brief.title, brief.audience, brief.points) == (title, audience, points)


def test_without_points_the_outline_is_made_of_what_is_not_named() -> None:
    outline = read_brief("How to choose a lamp; and where to put it; Audience: readers").outline
    assert outline[1:-1] == ["How to choose a lamp", "and where to put it"]
