"""How many processors an engine takes, and that it is bound to none of them."""

from pathlib import Path

import pytest

from fairlead_runtime import workers
from fairlead_runtime.config import RuntimeConfig
from fairlead_runtime.processors import Processors, environment, found


def config(device: str = "CPU", **parallelism: int) -> RuntimeConfig:
    return RuntimeConfig.model_validate(
        {"model": {"servedName": "tiny", "path": "/model"}, "device": device, "parallelism": parallelism}
    )


EIGHT = Processors(cores=8)


@pytest.mark.parametrize(
    ("asked", "processors", "environ", "added"),
    [
        pytest.param(config(), EIGHT, {}, ("nobind", "7"), id="all cores but one"),
        pytest.param(config(tensor=2), EIGHT, {}, ("nobind", "3"), id="a part for each worker"),
        pytest.param(config(tensor=2, pipeline=2), EIGHT, {}, ("nobind", "1"), id="of stages too"),
        pytest.param(config(), Processors(1), {}, ("nobind", "1"), id="never none"),
        pytest.param(config(), Processors(8, limit=2.5), {}, ("nobind", "2"), id="the pod's limit"),
        pytest.param(config(), Processors(8, limit=64), {}, ("nobind", "7"), id="a limit above the node's cores"),
        pytest.param(config(), EIGHT, {"VLLM_CPU_OMP_THREADS_BIND": "0-3"}, None, id="bound by the user"),
        pytest.param(config(), EIGHT, {"OMP_NUM_THREADS": "5"}, ("nobind", "5"), id="counted by the user"),
        pytest.param(config("Accelerator"), EIGHT, {}, None, id="an accelerator"),
    ],
)
def test_an_engine_is_bound_only_where_the_user_says(
    asked: RuntimeConfig, processors: Processors, environ: dict[str, str], added: tuple[str, str] | None
) -> None:
    bind, threads = ("VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS")
    whole = dict(zip((bind, threads), added, strict=True)) | {workers.FORK: "1"} if added else {}

    assert environment(asked, processors, environ) == whole


def machine(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


TOPOLOGY = {
    **{
        f"devices/system/cpu/cpu{number}/topology/thread_siblings_list": pair
        for pair in ("0,2", "1,3", "8")
        for number in pair.split(",")
    },
}


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({}, None),
        ({"fs/cgroup/cpu.max": "max 100000"}, None),
        ({"fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        ({"fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.0),
    ],
)
def test_a_machine_is_read(tmp_path: Path, limits: dict[str, str], limit: float | None) -> None:
    root = machine(tmp_path, TOPOLOGY | limits)

    assert found(root, frozenset({0, 1, 2, 3, 8})) == Processors(cores=3, limit=limit)
    assert found(root, frozenset({0, 2, 8})).cores == 2


def test_a_machine_that_tells_nothing_has_the_processors_of_this_process(tmp_path: Path) -> None:
    assert found(tmp_path, frozenset({0, 1})) == Processors(cores=2)
