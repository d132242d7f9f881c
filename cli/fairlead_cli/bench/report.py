"""What a benchmark found: the whole of it as JSON, and as a table for the terminal."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from fairlead_cli.bench.statistics import LevelResult

#: A client process that computes for more than this part of the time may be what was measured.
BUSY = 0.85


class Report(BaseModel):
    """url without credentials. seed makes the same prompts again: on a server with a prefix cache, use another.

    input_tokens, output_tokens: what was asked for; each level says what it was.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    date: str
    url: str
    model: str
    mode: Literal["stream", "unary"]
    input_tokens: int
    output_tokens: int
    temperature: float
    seed: int
    processes: int
    levels: tuple[LevelResult, ...]

    @property
    def succeeded(self) -> int:
        return sum(level.success for level in self.levels)


def table(report: Report) -> Table:
    """One row for each level, in 80 columns."""
    shown = Table(
        title=f"{report.model or report.url}, {report.mode}",
        caption="times: p50 / p99",
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for heading in ("at\nonce", "good", "failed", "tok/s", "tok/s\neach", "latency\ns", "TTFT\nms", "inter-token\nms"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for level in report.levels:
        shown.add_row(
            str(level.concurrency),
            str(level.success),
            f"[red]{level.failed}[/]" if level.failed else "0",
            f"{level.tok_s:,.1f}",
            number(level.per_request_tok_s),
            both(seconds(level.latency_p50_ms), seconds(level.latency_p99_ms)),
            both(level.ttft_p50_ms, level.ttft_p99_ms),
            both(level.inter_token_p50_ms, level.inter_token_p99_ms),
        )
    return shown


def seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def remarks(report: Report) -> list[str]:
    """What the reader must know beside the figures, a sentence each."""
    told = []
    for level in report.levels:
        told += [f"concurrency {level.concurrency}: {failed.count} failed: {failed.text}" for failed in level.errors]
    known = [level for level in report.levels if level.success]
    if known:
        last = known[-1]
        prompts = "an unknown number of" if last.prompt_tokens is None else f"{last.prompt_tokens:g}"
        told.append(f"prompts had {prompts} tokens, answers {last.output_tokens:g}, on average")
    busy = [level.concurrency for level in report.levels if level.client_busy > BUSY]
    if busy:
        levels = ", ".join(map(str, busy))
        told.append(
            f"a client process was busy all the time at concurrency {levels}: use more --processes, or another machine"
        )
    return told


def number(value: float | None) -> str:
    """Three digits that count, as far as three decimals; a dash for nothing."""
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3}f}"


def both(p50: float | None, p99: float | None) -> str:
    """Median and tail in one cell."""
    return "-" if p50 is None else f"{number(p50)} / {number(p99)}"
