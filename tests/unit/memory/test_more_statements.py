"""A second table of statements, written after the forms and tried once before they were mended by it.

What came of that first trial stands in docs/figures.md.
"""

from datetime import UTC, datetime

import pytest

from memory.extract import claims_in

FRIDAY = datetime(2026, 11, 27, 13, tzinfo=UTC)

#: What is said, and a word that stands in the subject and one that stands in the object.
SAID = [
    ("The gaffer on the short film is Wanda.", "gaffer", "Wanda"),
    ("Our caterer for the shoot is Bistro Nord now, Fleur closed in March.", "caterer", "Bistro Nord"),
    ("The spare sails are in the loft above the workshop.", "spare sails", "loft above the workshop"),
    ("The centrifuge is in lab three.", "centrifuge", "lab three"),
    ("The centrifuge has moved to the annexe, so please knock.", "centrifuge", "annexe"),
    ("The check-out time is 11:00 from 1 January.", "check-out time", "11:00"),
    ("The deposit for a dinghy is now 150 €, and the club card is no longer needed.", "deposit", "150 €"),
    ("The maximum dose is 40 mg per day.", "maximum dose", "40 mg per day"),
    ("The status of lane four is closed.", "status of lane four", "closed"),
    ("The stage of the film is editing.", "stage of the film", "editing"),
    ("The run time of the film is 94 minutes.", "run time", "94 minutes"),
    ("The head of housekeeping is Mr Oduya since April.", "head of housekeeping", "Mr Oduya"),
    ("The master key is in the safe behind the counter.", "master key", "safe"),
    ("Breakfast is served in the winter garden.", "Breakfast", "winter garden"),
    ("The freezer setpoint is minus 80 °C.", "freezer setpoint", "minus 80 °C"),
    ("The password rotation is 90 days.", "password rotation", "90 days"),
    ("The life jackets are under the bench in the boathouse.", "life jackets", "under the bench"),
    ("The lead sponsor of the regatta is Kestrel Bank.", "lead sponsor", "Kestrel Bank"),
    ("The new skipper is Dario because Inès is on parental leave.", "skipper", "Dario"),
    ("The guest list is in the top drawer.", "guest list", "top drawer"),
    ("The spare bulbs are on the top shelf.", "spare bulbs", "top shelf"),
]

SAYS_NOTHING = [
    "The skipper is at the bar.",
    "The guests are in the lobby.",
    "The director is on set.",
    "The camera is on.",
    "The regatta is off.",
    "The boat is in good shape.",
    "The film is in its last week.",
    "The wind is three knots too strong.",
    "The ferry is ten minutes early.",
    "The lab is in a mess.",
    "The crew is on a break.",
    "The centrifuge is running.",
    "The deposit may be 150 €.",
    "We hope that the deposit is 150 €.",
    "The master key is in the safe, isn't it?",
    "The status of the shoot is anyone's guess.",
    "The suitcase is in the lobby at the moment.",
    "The anchor was under the bench.",
    "The taxi is at the entrance.",
    "The upper deck is slow on rainy days.",
    "The sails are drying and nobody watches them.",
    "Moor it there and call Inès, she is the one with the key.",
    "Behind the boathouse, there is a rack.",
    "Wednesday works for me.",
    "Sending it back costs us the season.",
    "I like it.",
    "That dinghy is a wreck from 1970.",
    "The drinks are on the house.",
    "The inspector of the boats is in the yard.",
    "The trainee is in the annex.",
    "Say the check-out time is noon, what then?",
]


@pytest.mark.parametrize(("text", "subject", "object_"), SAID)
def test_what_lasts_is_read(text, subject, object_):
    [found] = claims_in(text, said_at=FRIDAY, author="U0RITA")
    assert subject in found.subject
    assert object_ in found.object
    assert len(found.object) < len(object_) + 30


@pytest.mark.parametrize("text", SAYS_NOTHING)
def test_what_does_not_last_or_is_not_said_to_be_so_says_nothing(text):
    assert claims_in(text, said_at=FRIDAY, author="U0RITA") == []
