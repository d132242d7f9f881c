"""A plan for a person, as a table, and for a program, as JSON."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fairlead_cli.plan.ways import Way, enough
from fairlead_runtime.memory import EngineSettings, Estimate, Plan, Verdict, gib


class Report(NamedTuple):
    """gpu: as it was named, "" for none. batch: requests of the whole context that must run at the same time."""

    service: str
    architecture: str
    gpu: str
    gpus: int
    batch: int
    engine: EngineSettings
    plan: Plan
    ways: tuple[Way, ...] = ()

    @property
    def fits(self) -> bool:
        return enough(self.plan, self.batch)

    @property
    def word(self) -> str:
        """The verdict, short enough for a title."""
        if self.fits:
            return "fits"
        words = {
            Verdict.DOES_NOT_FIT: "does not fit",
            Verdict.FITS: f"room for less than {self.batch} at the same time",
            Verdict.UNKNOWN: "may not fit" if self.plan.problem else "not known",
        }
        return words[self.plan.verdict]

    @property
    def verdict(self) -> str:
        plan = self.plan
        if self.fits:
            return "fits"
        if plan.verdict is Verdict.DOES_NOT_FIT:
            return f"does not fit: {plan.problem}"
        if plan.verdict is Verdict.FITS:
            return f"starts, but {plan.max_concurrency or 0:.2f} requests of {plan.model_len or 0:,} tokens run at the same time, and {self.batch} are asked for"
        return f"may not fit: {plan.problem}" if plan.problem else "not known"


def lines(report: Report) -> Iterator[tuple[str, str]]:
    """(name, value) of each row of the table."""
    plan = report.plan
    yield "service", f"{report.service} ({report.architecture})"
    yield "verdict", report.verdict
    each = f"{report.gpu} ({gib(plan.gpu)})" if plan.gpu else "not named: use --gpu"
    yield "GPUs", f"{report.gpus} x {each}" if report.gpus else "none, device CPU"
    if plan.budget and plan.gpu:
        yield "budget", f"{gib(plan.budget)} a GPU, {100 * plan.budget / plan.gpu:.0f} % of its memory"
    for name, size in (
        ("weights", plan.weights),
        ("activations", plan.activations),
        ("graphs", plan.graphs),
        ("KV cache", plan.kv_cache),
    ):
        yield name, _estimate(size)
    if plan.kv_bytes_per_token:
        yield "a token", f"{plan.kv_bytes_per_token:,} bytes of KV cache a GPU"
    if plan.kv_bytes_per_request:
        yield "a request", f"{gib(plan.kv_bytes_per_request)} for {plan.model_len or 0:,} tokens"
    if plan.kv_cache_tokens is not None:
        yield "tokens", f"{plan.kv_cache_tokens:,} in the KV cache"
        yield "concurrency", f"{plan.max_concurrency or 0:.2f} requests of {plan.model_len or 0:,} tokens"
        yield (
            "context",
            f"{plan.largest_model_len or 0:,} tokens at most; {plan.surely_fits_len or 0:,} if all estimates err",
        )
    for name, value in plan.assumed.items():
        yield "assumed", f"{name} {value}"
    for unknown in plan.unknowns:
        yield "not known", str(unknown)
    for number, way in enumerate(report.ways, 1):
        yield f"way {number}", way.sentence


def _estimate(size: Estimate | None) -> str:
    if size is None:
        return "not known"
    return gib(size.size) + (f" ± {gib(size.error)}" if size.error else "")


def as_json(report: Report) -> dict[str, Any]:
    """All sizes in bytes, for one GPU."""
    return {
        "service": report.service,
        "architecture": report.architecture,
        "gpu": {"name": report.gpu, "memoryBytes": report.plan.gpu, "count": report.gpus},
        "batch": report.batch,
        "fits": report.fits,
        "verdict": str(report.plan.verdict),
        "message": report.verdict,
        "field": report.plan.field,
        "plan": _plan(report.plan),
        "unknown": [str(unknown) for unknown in report.plan.unknowns],
        "assumed": dict(report.plan.assumed),
        "ways": [{"field": way.field, "value": way.value, "plan": _plan(way.plan)} for way in report.ways],
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "maxModelLen": plan.model_len,
        "budgetBytes": plan.budget,
        "weightsBytes": plan.weights and plan.weights.size,
        "activationsBytes": plan.activations and plan.activations.size,
        "graphsBytes": plan.graphs and plan.graphs.size,
        "kvCacheBytes": plan.kv_cache and plan.kv_cache.size,
        "kvCacheErrorBytes": plan.kv_cache and plan.kv_cache.error,
        "kvBytesPerToken": plan.kv_bytes_per_token,
        "kvBytesPerRequest": plan.kv_bytes_per_request,
        "kvCacheTokens": plan.kv_cache_tokens,
        "maxConcurrency": plan.max_concurrency,
        "largestModelLen": plan.largest_model_len,
        "surelyFitsLen": plan.surely_fits_len,
    }
