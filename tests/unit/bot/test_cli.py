"""What a listing of the command line looks like."""

from bot.cli import table

ROWS = [
    {"run_id": "run_1", "outcome": "all\nis well", "steps": []},
    {"run_id": "run_22", "outcome": None, "steps": [1]},
]


def test_a_table_is_whole_in_a_pipe_and_no_wider_than_a_terminal() -> None:
    assert table(ROWS, None) == ["run_id  outcome", "run_1   all is well", "run_22"]
    assert table(ROWS, 12) == ["run_id  out…", "run_1   all…", "run_22"]
    assert table([], 12) == ["Nothing yet."]
