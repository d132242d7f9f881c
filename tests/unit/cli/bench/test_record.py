"""When a figure passes, and what it says when it does not."""

import pytest

from fairlead_cli.bench.record import Compared


@pytest.mark.parametrize(
    ("compared", "verdict"),
    [
        pytest.param(Compared(ratio=1.0, interval=(0.99, 1.02), pairs=7, gate=0.99), "passed", id="above, and narrow"),
        pytest.param(Compared(ratio=0.98, interval=(0.97, 0.99), pairs=7, gate=0.99), "missed", id="below"),
        pytest.param(
            Compared(ratio=1.5, interval=(1.4, 1.6), pairs=9, gate=0.99), "too noisy", id="far above, and wide"
        ),
        pytest.param(Compared(ratio=1.5, interval=(1.5, 1.5), pairs=6, gate=0.99), "too few pairs", id="six pairs"),
        pytest.param(Compared(ratio=25, gate=24), "met, once", id="measured once"),
        pytest.param(Compared(ratio=23, gate=24), "missed, once", id="measured once, below"),
        pytest.param(Compared(ratio=1.0, interval=(0.99, 1.02), pairs=7), "", id="nothing is asked"),
    ],
)
def test_verdict(compared: Compared, verdict: str) -> None:
    assert compared.verdict == verdict
