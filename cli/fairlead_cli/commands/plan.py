"""`fairlead plan`."""

import json
import sys
from pathlib import Path

import click

from fairlead_cli.files import FileToWrite
from fairlead_cli.plan import checkpoints, report, service
from fairlead_cli.plan.report import Report
from fairlead_cli.plan.service import PlanError
from fairlead_cli.plan.ways import enough, ways
from fairlead_operator.api.fields import amount
from fairlead_operator.core.resolve import Resolved
from fairlead_runtime import memory, planned
from fairlead_runtime.memory import EngineSettings, Plan


@click.command()
@click.option(
    "-f",
    "--filename",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="An InferenceService.",
)
@click.option(
    "--gpu",
    default="",
    help="A GPU's name, such as H200, or a memory, such as 80GiB.  [default: placement.minAcceleratorMemory]",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Requests of the whole context that must run at the same time.",
)
@click.option(
    "--model-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The model's files, instead of model.uri; only config.json and headers are read, and no model that guesses tokens.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--plot", type=FileToWrite(".svg"), help="Draw it into FILE.svg.")
def plan(filename: Path, gpu: str, batch: int, model_folder: Path | None, output: str, plot: Path | None) -> None:
    """Tell whether the InferenceService in a file fits a GPU, and if not, what would make it fit.

    Reads a model's folder, or of a hub's repository config.json and the headers of its weights: HF_ENDPOINT and HF_TOKEN as
    huggingface_hub has them. No weights are fetched and no cluster is asked. The exit code is 0 when it fits, 1 when it does not,
    3 when it cannot be told, also for what must be corrected first.
    """
    asked = service.read(filename)
    name, size = _gpu(asked, gpu)
    checkpoint = checkpoints.find(asked, model_folder)
    draft = checkpoints.draft(asked, model_folder)

    def replan(settings: EngineSettings) -> Plan | None:
        try:
            return memory.plan(checkpoint.model, checkpoint.weights, settings, size, draft)
        except memory.ConfigError:
            return None

    known = memory.gpu_named(name)
    variables = {variable.name: variable.value or "" for variable in asked.spec.engine.env}
    settings = planned.settings(asked.config, variables, known.name if known else "")
    try:
        found = memory.plan(checkpoint.model, checkpoint.weights, settings, size, draft)
    except memory.ConfigError as error:
        raise PlanError(f"{error}; correct the spec") from error
    told = Report(
        service=asked.name,
        architecture=checkpoint.model.architecture,
        gpu=name,
        gpus=asked.accelerators,
        batch=batch,
        engine=settings,
        plan=found,
        ways=() if enough(found, batch) or size is None else ways(checkpoint.model, settings, replan, batch),
    )
    if output == "json":
        click.echo(json.dumps(report.as_json(told), indent=2))
    else:
        for row, value in report.lines(told):
            click.echo(f"{row:12} {value}")
    if plot:
        from fairlead_cli.plan import picture  # noqa: PLC0415 - most plans are not drawn, and its imports take as long as the plan

        plot.write_text(picture.svg(told, replan, checkpoint.model.max_model_len), encoding="utf-8")
    sys.exit(0 if told.fits else 3 if found.verdict is memory.Verdict.UNKNOWN else 1)


def _gpu(asked: Resolved, named: str) -> tuple[str, int | None]:
    """(name, bytes that a program finds). Raises PlanError."""
    if named:
        size = memory.usable_bytes(named)
        if size is None:
            raise PlanError(
                f"--gpu {named} is not known; write its memory, such as 80GiB, or one of {', '.join(memory.GPUS)}"
            )
        return named, size
    least = asked.spec.placement.min_accelerator_memory
    return (str(least), int(amount(least))) if least is not None else ("", None)
