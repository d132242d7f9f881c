"""What the machine was like before is remembered once, until all is undone."""

from pathlib import Path

import pytest

from fairlead_cli.local import claim, paths, sysctls

HOME = Path("/home/of/a/user")


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "RUN", tmp_path / "run")
    monkeypatch.setattr(claim, "FOREIGN", (tmp_path / "there", tmp_path / "not", tmp_path / "not" / "below"))
    (tmp_path / "there").mkdir()
    return tmp_path


def test_without_a_cluster_there_is_no_claim() -> None:
    assert claim.read() is None


def test_a_second_up_after_a_killed_one_does_not_overwrite_the_values_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sysctls, "read", lambda: {"kernel/panic": "0"})
    first = claim.make(HOME)

    monkeypatch.setattr(sysctls, "read", lambda: {"kernel/panic": "10"})
    second = claim.make(HOME)

    assert second == first == claim.read()
    assert first.sysctls == {"kernel/panic": "0"}


def test_a_dropped_claim_is_gone_and_may_be_dropped_again() -> None:
    claim.make(HOME)

    claim.drop()
    claim.drop()

    assert claim.read() is None


def test_folders_that_were_not_there_go_if_they_are_empty_and_only_they(run: Path) -> None:
    made = claim.make(HOME)
    (run / "not" / "below").mkdir(parents=True)
    claim.remove_empty(made.absent)
    assert not (run / "not").exists()
    assert (run / "there").exists()

    (run / "not" / "below").mkdir(parents=True)
    (run / "not" / "somebody's file").touch()
    claim.remove_empty(made.absent)

    assert [path.name for path in (run / "not").iterdir()] == ["somebody's file"]
