"""`fairlead bench`."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fairlead_cli.bench import BenchError, plot
from fairlead_cli.bench.load import Standing
from fairlead_cli.bench.report import Report, remarks, table
from fairlead_cli.bench.sweep import Plan, measure
from fairlead_cli.bench.target import find
from fairlead_cli.files import FileToWrite

LEVELS = "1,4,16,64,128,256"
#: More client processes than this do not help on any machine seen so far.
MOST_PROCESSES = 8


class Levels(click.ParamType[tuple[int, ...]]):
    """A list of numbers of concurrent requests, in the order to measure them."""

    name = "N,N,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is no list of numbers above 0, such as {LEVELS}", param, ctx)
        return tuple(int(word) for word in words)


@click.command()
@click.argument("url")
@click.option("--model", help="The served model's name; without it, the first that /v1/models lists.")
@click.option(
    "--api-key",
    envvar=["FAIRLEAD_API_KEY", "OPENAI_API_KEY"],
    show_envvar=True,
    default="",
    help="Sent as a bearer token, never shown. Other users of this machine can read options: use the variable.",
)
@click.option("--concurrency", type=Levels(), default=LEVELS, show_default=True, help="Levels to measure, in order.")
@click.option(
    "--requests",
    type=click.IntRange(1),
    help="Per level, no fewer than the largest.  [default: four times the level, at least 8]",
)
@click.option(
    "--input-tokens", type=click.IntRange(1), default=128, show_default=True, help="Length of prompts, about."
)
@click.option("--output-tokens", type=click.IntRange(1), default=256, show_default=True, help="Length of answers.")
@click.option("--stream/--unary", default=True, show_default=True, help="Answers in chunks, or each as a whole.")
@click.option(
    "--ignore-eos/--may-stop",
    default=True,
    show_default=True,
    help="Every answer has its full length (vLLM's `ignore_eos`; not on /generate), or the model may end it.",
)
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.0, show_default=True)
@click.option(
    "--warmup", type=click.IntRange(0), default=16, show_default=True, help="Requests before the first level."
)
@click.option(
    "--seed", type=int, help="Makes the prompts.  [default: another each time, for the sake of prefix caches]"
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=lambda: min(MOST_PROCESSES, os.cpu_count() or 1),
    help=f"Client processes.  [default: one per CPU, at most {MOST_PROCESSES}]",
)
@click.option(
    "--timeout", type=click.FloatRange(0.001), default=600.0, show_default=True, help="Seconds for a request."
)
@click.option("--output", type=FileToWrite(), help="Write all figures as JSON.")
@click.option("--plot", "picture", type=FileToWrite(".svg"), help="Write a plot, FILE.svg.")
def bench(
    url: str,
    model: str | None,
    api_key: str,
    concurrency: tuple[int, ...],
    requests: int | None,
    input_tokens: int,
    output_tokens: int,
    stream: bool,  # noqa: FBT001 - click's flag
    ignore_eos: bool,  # noqa: FBT001
    temperature: float,
    warmup: int,
    seed: int | None,
    processes: int,
    timeout: float,
    output: Path | None,
    picture: Path | None,
) -> None:
    """Measure a server that speaks OpenAI's API, or /generate, at rising concurrency.

    URL is http://HOST:PORT for /v1/completions, or ends with /v1/completions, /v1/chat/completions or /generate. Each level
    keeps that many requests running. Tokens are those of the server's `usage`; an answer that was cut counts as failed.
    """
    if requests is not None and requests < max(concurrency):
        raise click.UsageError(
            f"--requests {requests} never has {max(concurrency)} running at once, the largest level of --concurrency:"
            f" give --requests {max(concurrency)} or more, or levels up to {requests}"
        )
    console = Console()
    try:
        target = asyncio.run(find(url, model=model, key=api_key))
        plan = Plan(
            target=target,
            concurrencies=concurrency,
            seed=time.time_ns() // 1_000_000 if seed is None else seed,
            requests=requests,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            stream=stream,
            temperature=temperature,
            full_length=ignore_eos,
            warmup=warmup,
            processes=processes,
            timeout=timeout,
        )
        report = measured(plan, console)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    console.print(table(report))
    for line in remarks(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if output:
        output.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if picture:
        picture.write_text(plot.svg(report), encoding="utf-8")
    if not report.succeeded:
        sys.exit(1)


def measured(plan: Plan, console: Console) -> Report:
    """Runs the plan and shows how far it is."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    shown = progress.add_task("calibrating", total=None, rate="")
    began: dict[tuple[int, int], float] = {}

    def watch(concurrency: int, requests: int, standing: Standing) -> None:
        if (concurrency, requests) not in began:
            began[concurrency, requests] = time.monotonic()
            progress.reset(shown, description=f"concurrency {concurrency}", total=requests)
        seconds = time.monotonic() - began[concurrency, requests]
        told = [f"{standing.tokens / seconds:,.0f} tok/s"] if seconds > 1 else []
        told += [f"{standing.failed} failed"] if standing.failed else []
        progress.update(shown, completed=standing.done, rate=", ".join(told))

    with progress:
        levels = measure(plan, watch)
    return Report(
        version=version("fairlead"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        url=plan.target.url,
        model=plan.target.model,
        mode="stream" if plan.stream else "unary",
        input_tokens=plan.input_tokens,
        output_tokens=plan.output_tokens,
        temperature=plan.temperature,
        seed=plan.seed,
        processes=plan.processes,
        levels=tuple(levels),
    )
