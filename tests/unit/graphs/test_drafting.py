"""Briefs as people write them: on several lines, or on the one line that a command has."""

import pytest

from graphs.drafting import Draft, read_brief


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


@pytest.mark.parametrize(
    ("body", "opening"),
    [
        ("A lamp gives\nbetter light.\n\n## Light\n\nWarm light.", "A lamp gives better light."),
        ("## Light\n\nWarm light.", "Warm light."),
        ("## Light", ""),
    ],
)
def test_a_post_is_summed_up_by_its_first_paragraph_and_by_no_heading(body: str, opening: str) -> None:
    assert Draft(title="Lamps", body=body, by="Rita").opening == opening
