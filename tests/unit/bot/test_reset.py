"""A reset forgets what is ours, and nothing that stands beside it."""

from pathlib import Path

from bot.up import remove_ours


def test_a_reset_leaves_what_others_put_into_the_same_folder(tmp_path: Path) -> None:
    for ours in ("company", "log", "sandbox", "audit", "keys"):
        (tmp_path / ours).mkdir()
    for name in ("workspace.db", "workspace.db-wal", "letters.txt", ".profile"):
        (tmp_path / name).write_text("x")
    (tmp_path / "photographs").mkdir()

    remove_ours(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".profile", "letters.txt", "photographs"]


def test_a_reset_removes_the_folder_when_nothing_else_stands_in_it(tmp_path: Path) -> None:
    home = tmp_path / "var"
    (home / "company").mkdir(parents=True)

    remove_ours(home)

    assert not home.exists()
