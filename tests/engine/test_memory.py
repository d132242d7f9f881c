"""The kernel ends an engine for its memory: told apart from every other end by signal 9."""

from pathlib import Path

import pytest

from asking import WITHIN

from .confined import confined
from .starts import configured, started

pytestmark = pytest.mark.timeout(400)

#: One process of the engine fits, two do not.
LIMIT = 1 << 30


def test_an_engine_that_exceeds_the_pods_memory(tmp_path: Path) -> None:
    with confined(LIMIT) as before, started(tmp_path, configured(), before=before) as runtime:
        status = runtime.process.wait(WITHIN)

        record = runtime.record()
        assert (record["code"], record["field"]) == ("HostOutOfMemory", "spec.resources.memory"), record
        assert record["phase"] == "loading"
        assert status in range(1, 126)
