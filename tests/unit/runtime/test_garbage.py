"""While packages are imported no garbage is looked for, and what they are is never looked at again."""

import gc
from collections.abc import Iterator

import pytest

from fairlead_runtime.garbage import FAR_OFF, let_be_inside


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_inside_none_is_looked_for_and_what_was_made_stays() -> None:
    usual = gc.get_threshold()
    with let_be_inside():
        assert gc.get_threshold()[0] == FAR_OFF
        made: list[list[int]] = [[] for _ in range(1000)]

    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > len(made)


def test_a_failed_import_ends_it_too() -> None:
    usual = gc.get_threshold()
    with pytest.raises(ImportError), let_be_inside():
        raise ImportError

    assert gc.get_threshold() == usual
