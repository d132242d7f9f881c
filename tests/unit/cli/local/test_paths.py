"""What is fetched and built is below the folder that the user chose, and where it always was if none was chosen."""

from pathlib import Path

import pytest

from fairlead_cli.images.store import Store
from fairlead_cli.local import golang, paths


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*paths.CACHES, "GOPATH", "FAIRLEAD_HOME"):
        monkeypatch.delenv(name, raising=False)


def set_in(environment: dict[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in paths.CACHES if name in environment}


def test_where_no_home_was_chosen_each_cache_stays_where_it_is() -> None:
    assert set_in(golang.environment(Path("/go/bin/go"), cgo=False)) == {}


def test_builds_fetch_into_the_home_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))

    programs = set_in(golang.environment(Path("/go/bin/go"), cgo=False))
    images = set_in(dict(line.split("=", 1) for line in Store(tmp_path / "images").run(["env"]).splitlines()))

    assert programs == images
    assert set(programs) == set(paths.CACHES)
    assert all(Path(folder).parent == tmp_path for folder in programs.values())


@pytest.mark.parametrize(
    ("variable", "left"),
    [
        pytest.param("UV_CACHE_DIR", {"GOMODCACHE", "GOCACHE", "PIP_CACHE_DIR"}, id="uv's"),
        pytest.param("GOPATH", {"GOCACHE", "UV_CACHE_DIR", "PIP_CACHE_DIR"}, id="Go's modules, by the older name"),
    ],
)
def test_a_cache_that_the_user_has_placed_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, left: set[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    monkeypatch.setenv(variable, "/elsewhere")

    assert set(paths.caches()) == left
