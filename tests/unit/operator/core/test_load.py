from typing import Any

import pytest

from fairlead_operator.core.load import Load


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"phase": "ready", "inflight": {"running": 3, "waiting": 2}}, Load(3, 2), id="it serves"),
        pytest.param({"phase": "draining", "inflight": {"running": 1}}, Load(1, 0), id="it finishes what it has"),
        pytest.param(
            {
                "phase": "ready",
                "inflight": {"running": 0, "waiting": 0, "kvCacheUsagePercent": 12, "idleSeconds": 40},
                "effective": {"engine.maxNumSeqs": {"value": 256, "origin": "engine default"}},
            },
            Load(kv_cache_percent=12, idle_seconds=40, max_running=256),
            id="all that it may say",
        ),
        pytest.param({"phase": "loading", "inflight": {"running": 0, "waiting": 0}}, None, id="it does not serve yet"),
        pytest.param({"phase": "ready"}, None, id="it does not say"),
        pytest.param({"phase": "ready", "inflight": {"running": -5, "waiting": None}}, Load(0, 0), id="nonsense is 0"),
        pytest.param(
            {"phase": "ready", "inflight": {"running": 10**400, "waiting": 2**31}},
            Load(2**31 - 1, 2**31 - 1),
            id="no engine has more requests than Kubernetes can count",
        ),
    ],
)
def test_load(body: dict[str, Any], expected: Load | None) -> None:
    assert Load.from_json(body) == expected


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Load.from_json({"phase": "ready", "inflight": {"running": "many"}})
