"""The engine's environment is made before the first test, so that no test's own limit pays for it; one runtime serves many tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .environment import engine_python
from .serving import running
from .starts import Started


def pytest_sessionstart() -> None:
    engine_python()


@pytest.fixture(scope="session", name="engine_python")
def engine_python_fixture() -> str:
    return engine_python()


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Ready, and shared: who uses it leaves it idle."""
    with running(tmp_path_factory.mktemp("runtime")) as runtime:
        yield runtime


@pytest.fixture
def own_runtime(tmp_path: Path) -> Iterator[Started]:
    """For tests that end it."""
    with running(tmp_path) as runtime:
        yield runtime
