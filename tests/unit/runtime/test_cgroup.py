"""How often the kernel killed for memory, in both versions of cgroups."""

from pathlib import Path

import pytest

from fairlead_runtime.cgroup import SOURCES, oom_kills

V2 = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        pytest.param({0: V2}, 2, id="version 2: oom_kill, not oom or oom_group_kill"),
        pytest.param({1: V1}, 3, id="version 1"),
        pytest.param({0: V2, 1: V1}, 2, id="version 2 comes first"),
        pytest.param({0: "max 7\n", 1: V1}, 3, id="a file without the line is passed over"),
        pytest.param({}, 0, id="no counter to read"),
    ],
)
def test_kills_are_counted(tmp_path: Path, files: dict[int, str], kills: int) -> None:
    sources = tuple((tmp_path / str(number), prefix) for number, (_, prefix) in enumerate(SOURCES))
    for number, text in files.items():
        sources[number][0].write_text(text)

    assert oom_kills(sources) == kills
