"""The engine that speaks for all pods."""

import json
import urllib.request
from datetime import UTC, datetime

from scale.engine import engine

from fairlead_cli.local.health import free_ports
from fairlead_operator.core.seen import EngineState


def test_the_operator_reads_it_as_ready() -> None:
    [port] = free_ports(1)
    with engine("127.0.0.1", port), urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=10) as answer:
        state = EngineState.from_json(json.loads(answer.read()), datetime.now(UTC))

    assert state.phase == "ready"
