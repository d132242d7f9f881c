"""The API server's latency between two readings of its metrics."""

import pytest
from scale.latency import buckets, quantile


def reading(**counts: tuple[int, int, int]) -> str:
    """By verb: requests within 0.1 s, within 1 s, and all."""
    return "# TYPE apiserver_request_duration_seconds histogram\n" + "".join(
        f'apiserver_request_duration_seconds_bucket{{component="",verb="{verb}",le="{bound}"}} {count}\n'
        for verb, of in counts.items()
        for bound, count in zip(("0.1", "1", "+Inf"), of, strict=True)
    )


def test_only_what_was_asked_between_the_readings_counts() -> None:
    before = buckets(reading(GET=(100, 100, 100)))
    after = buckets(reading(GET=(150, 200, 200)))

    assert quantile(before, after, 0.5) == pytest.approx(0.1)
    assert quantile(before, after, 0.75) == pytest.approx(0.55)


def test_all_verbs_count_together_but_those_that_last_for_ever() -> None:
    seen = buckets(reading(GET=(10, 10, 10), PATCH=(0, 10, 10), WATCH=(0, 0, 50)))

    assert seen == {0.1: 10, 1.0: 20, float("inf"): 20}


def test_beyond_the_last_bound_the_bound_is_what_is_known() -> None:
    assert quantile({}, buckets(reading(GET=(0, 1, 10))), 0.99) == 1.0


def test_without_requests_there_is_no_figure() -> None:
    same = buckets(reading(GET=(1, 1, 1)))

    with pytest.raises(ValueError, match="no request"):
        quantile(same, same, 0.99)
