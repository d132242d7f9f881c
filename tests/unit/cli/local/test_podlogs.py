"""Of the links to containers' logs only ours go."""

from pathlib import Path

import pytest

from fairlead_cli.local import claim, podlogs


def test_links_below_our_logs_go_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links, logs = tmp_path / "containers", tmp_path / "pod-logs"
    links.mkdir()
    monkeypatch.setattr(podlogs, "LINKS", links)
    (links / "ours-dangling.log").symlink_to(logs / "ns_pod_uid" / "engine" / "0.log")
    (links / "theirs.log").symlink_to("/var/log/pods/ns_pod_uid/engine/0.log")
    (links / "beside-ours.log").symlink_to(tmp_path / "pod-logs-of-another" / "0.log")
    (links / "a-file.log").touch()

    podlogs.unlink(logs)
    podlogs.unlink(logs)

    assert sorted(path.name for path in links.iterdir()) == ["a-file.log", "beside-ours.log", "theirs.log"]


def test_without_any_links_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlogs, "LINKS", tmp_path / "none")

    podlogs.unlink(tmp_path)

    assert not (tmp_path / "none").exists()


def test_their_folder_is_one_that_goes_where_it_was_not_before() -> None:
    assert podlogs.LINKS in claim.FOREIGN
