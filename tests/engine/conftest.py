"""The engine's environment is made before the first test, so that no test's own limit pays for it; one runtime serves many tests."""

from collections.abc import Iterator

import pytest

from .environment import engine_python
from .serving import running
from .starts import Started


def pytest_sessionstart() -> None:
    engine_python()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ends the shared runtime comes after all that needs it."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session", name="engine_python")
def engine_python_fixture() -> str:
    return engine_python()


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Ready, and shared: who uses it leaves it idle. Who ends it is marked as last."""
    with running(tmp_path_factory.mktemp("runtime")) as runtime:
        yield runtime
