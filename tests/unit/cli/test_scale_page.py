"""The page of the operator's scale: what is in the file, and whether that is what is asked."""

from typing import Any

import pytest

from fairlead_cli.bench.scale_record import ScaleRecord, ScaleRow
from fairlead_cli.benchmarks_page import FOLDER
from fairlead_cli.scale_page import DATA, PAGE, main, page

ROW: dict[str, Any] = {
    "resources": 1000,
    "runs": 5,
    "children_p50_s": 0.5,
    "children_p99_s": 2.0,
    "children_s": 12.0,
    "converged_s": 90.0,
    "bare_loop_s": 45.0,
    "writes_per_resource": 9.5,
    "child_writes_per_resource": 4.0,
    "cpu_s": 0.05,
    "peak_mib": 120.0,
    "api_p99_ms": 80.0,
    "idle_minutes": 10.0,
    "idle_writes": 0,
    "restart_s": 12.0,
    "restart_writes": 0,
    "update_s": 100.0,
    "update_writes_per_resource": 8.0,
}


def record(**changes: Any) -> ScaleRecord:
    return ScaleRecord.model_validate({
        "machine": {"cpu": "Some CPU", "cores": 2, "memory_gib": 24},
        "versions": {"fairlead": "0.1.0"},
        "command": "benchmarks/operator_scale.py",
        "date": "2026-01-02",
        "flags": ["kube-controller-manager --kube-api-qps=500"],
        "rows": [ROW | changes],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        pytest.param({}, [], id="all is met"),
        pytest.param({"converged_s": 101.0}, ["converged in 101 s, 100 are asked"], id="too slow"),
        pytest.param({"converged_s": 140.0, "bare_loop_s": 150.0}, [], id="the machine itself is slower"),
        pytest.param({"converged_s": 160.0, "bare_loop_s": 150.0}, ["converged in 160 s, 150 are asked"], id="slower than a slow machine"),
        pytest.param({"children_p50_s": 1.2}, ["children p50 s 1.2, 1 asked"], id="children come late"),
        pytest.param({"children_p99_s": 5.1}, ["children p99 s 5.1, 5 asked"], id="some come very late"),
        pytest.param({"peak_mib": 151.0}, ["peak MiB 151.0, 150 asked"], id="too much memory"),
        pytest.param({"resources": 5000, "converged_s": 900.0, "peak_mib": 500.0}, [], id="another size is told and not judged"),
        pytest.param({"resources": 100, "idle_writes": 3}, ["3 writes while idle, 0 are asked"], id="an idle operator writes nothing at any size"),
    ],
)  # fmt: skip
def test_what_is_asked(changes: dict[str, Any], missed: list[str]) -> None:
    assert list(ScaleRow.model_validate(ROW | changes).missed()) == missed


def test_a_write_too_many_is_nobodys_machines_fault() -> None:
    slow = ScaleRow.model_validate(ROW | {"converged_s": 500.0, "restart_writes": 2})

    assert list(slow.wasted()) == ["2 writes after a restart, 0 are asked"]
    assert len(list(slow.missed())) == 2


def test_the_page_has_every_figure_and_how_it_was_measured() -> None:
    text = page(record())

    assert "| 1,000 | 5 | 0.50 | 2.00 | 12.0 | 90.0 | 45.0 | 2.00 | 9.50 | 4 | 0.050 | 120 | 80 |" in text
    assert "| 1,000 | 10 | 0 | 12.0 | 0 | 100.0 | 8.00 |" in text
    assert "- 1,000 services: all that is asked is met." in text
    assert "`kube-controller-manager --kube-api-qps=500`" in text
    assert "Some CPU, 2 cores, 24 GiB" in text


def test_what_is_missed_is_said() -> None:
    assert "- 1,000 services: missed: 4 writes while idle, 0 are asked." in page(record(idle_writes=4))


def test_no_data_no_page(tmp_path: Any) -> None:
    main(tmp_path)

    assert not (tmp_path / PAGE).exists()
    (tmp_path / DATA).write_text(record().model_dump_json())
    main(tmp_path)
    assert (tmp_path / PAGE).read_text() == page(record())


def test_the_folder_is_that_of_all_measurements() -> None:
    assert FOLDER.name == "benchmarks"
