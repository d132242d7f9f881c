"""CPU seconds and peak memory, as the kernel writes them."""

import os
from pathlib import Path

from scale.process import cpu_seconds, peak_mib


def test_time_of_user_and_system_whatever_the_program_is_called(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *["0"] * 10, str(2 * ticks), str(ticks), *["0"] * 30]
    (tmp_path / "7" / "stat").write_text(f"7 (odd) name) {' '.join(fields)}\n")

    assert cpu_seconds(7, tmp_path) == 3.0


def test_the_peak_and_not_the_present_size(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tpython\nVmHWM:\t  153600 kB\nVmRSS:\t  102400 kB\n")

    assert peak_mib(7, tmp_path) == 150.0


def test_this_process_has_both() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert peak_mib(os.getpid()) > 1
