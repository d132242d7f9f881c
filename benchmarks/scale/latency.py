"""How long the API server took, from its own histograms: the difference between two readings, so that only the run counts."""

import re
from collections import Counter
from collections.abc import Mapping

_METRIC = "apiserver_request_duration_seconds_bucket"
_SAMPLE = re.compile(rf"^{_METRIC}{{(?P<labels>[^}}]*)}} (?P<count>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
#: They last as long as their client wants.
ENDLESS = frozenset({"WATCH", "CONNECT"})

#: Requests that took at most so many seconds, by that bound.
Buckets = Mapping[float, float]


def buckets(text: str) -> Buckets:
    """The histogram of all requests but the endless ones, of one reading of the API server's /metrics."""
    found: Counter[float] = Counter()
    for sample in _SAMPLE.finditer(text):
        labels = dict(_LABEL.findall(sample["labels"]))
        if labels.get("verb") not in ENDLESS:
            found[float(labels["le"])] += int(float(sample["count"]))
    return found


def quantile(before: Buckets, after: Buckets, part: float) -> float:
    """Seconds within which this part of the requests between the readings was answered, evenly spread inside a bucket.

    In the last bucket, which has no bound, its lower one. ValueError when there was no request.
    """
    counts = sorted((bound, after[bound] - before.get(bound, 0.0)) for bound in after)
    if not counts or counts[-1][1] <= 0:
        raise ValueError("no request was made between the two readings")
    rank = part * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    raise AssertionError("the last bucket holds every request")
