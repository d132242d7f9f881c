"""What `make bench` writes, from what it measured."""

import http.server
import threading

import servers
from runtime_cpu import Probing, Turn, row

from fairlead_cli.bench.asking import Outcome
from fairlead_cli.bench.statistics import level_result


def turn(tok_s: float, ttft: float, cpu: float) -> Turn:
    """One request of a second."""
    asked = Outcome(0.0, seconds=1.0, tokens=int(tok_s), first=ttft, gaps=[0.01])
    return Turn(level_result(8, [asked]), cpu)


def test_a_row_has_the_medians_of_both_sides_and_the_ratio_of_the_pairs() -> None:
    have = [
        (turn(99, 0.1, 0.0099), turn(100, 0.5, 0.02)),
        (turn(198, 0.2, 0.0297), turn(200, 0.5, 0.04)),
        (turn(396, 0.3, 0.0792), turn(400, 0.5, 0.08)),
    ]

    made = row(8, have)

    assert (made.fairlead_tok_s, made.bare_tok_s, made.ratio, made.interval) == (198.0, 200.0, 0.99, (0.99, 0.99))
    assert (made.ttft_p50_ms, made.inter_token_p99_ms, made.pairs) == (200.0, 10.0, 3)
    assert (made.fairlead_cpu_us, made.bare_cpu_us) == (150.0, 200.0)
    assert made.verdict == "too few pairs"


def test_both_servers_get_the_same_flags_and_none_names_the_machine() -> None:
    flags = servers.flags()

    assert "--enforce-eager" in flags
    assert not any("/" in flag or flag.startswith("--port") for flag in flags)


class Flaky(http.server.BaseHTTPRequestHandler):
    """/livez answers, /readyz closes the connection; the third time it says so."""

    asked = 0
    enough = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/livez":
            self.send_response(503)
            self.end_headers()
            return
        Flaky.asked += 1
        if Flaky.asked == 3:
            self.enough.set()

    def log_message(self, *_: object) -> None:
        pass


def test_any_answer_counts_for_a_probe_and_none_is_a_failure() -> None:
    probing = Probing()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with probing.during(server.server_port):
            assert Flaky.enough.wait(20)
        server.shutdown()
        thread.join()

    live, ready = probing.times("loading")
    assert (live.path, live.failed, live.during) == ("/livez", 0, "loading")
    assert live.p50_ms is not None
    assert live.worst_ms is not None
    assert 0 < live.p50_ms <= live.worst_ms
    assert ready.failed == ready.count >= 2
    assert ready.p99_ms is None
