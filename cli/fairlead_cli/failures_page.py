"""docs/failures.md: every code a failed engine can end with, made from the catalogue and the operator's reasons. `make generate`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairlead_operator.core.reasons import REASONS, Reason
from fairlead_runtime import profiles, verdicts
from fairlead_runtime.catalogue import CATALOGUE
from fairlead_runtime.diagnosis import diagnose
from fairlead_runtime.failure import CODES, Failure

PAGE = Path("docs/failures.md")
HEAD = """\
# When an engine fails

<!-- Made by `make generate` from runtime/fairlead_runtime/catalogue.py and operator/fairlead_operator/core/reasons.py. -->

An engine that cannot start, or ends, leaves a record: a code, a sentence with the engine's own numbers, the field of the
`InferenceService` that changes it, and a value for that field where one can be told. The code is the reason of a condition:

```console
$ kubectl get infs mistral -o jsonpath='{.status.conditions[?(@.type=="EngineHealthy")]}'
$ kubectl get infs mistral -o jsonpath='{.status.lastFailure}'
```

Examples are texts of real engines and what they become. "What happens next": *user must act* - nothing changes until the spec
does; *wait* - something else is on its way; *restart* - the engine is started again, which often helps.
"""
TWICE_QUANTIZED = (
    "Value error, Quantization method specified in the model config (gptq) does not match the quantization method specified in"
    " the `quantization` argument (fp8)."
)
#: The order in which the way of a start meets them.
CONDITIONS = ("Accepted", "ModelAvailable", "EngineHealthy")


def page() -> str:
    """The whole page."""
    sections = [HEAD]
    for condition in CONDITIONS:
        codes = sorted(code for code in CODES if REASONS[code].condition == condition)
        sections.append(f"## {condition}\n\n{_table(codes)}")
        sections += [_section(code, REASONS[code]) for code in codes]
    return "\n".join(sections)


def examples(code: str) -> list[Failure]:
    """What is said under `code`, one failure for each row of the catalogue and each verdict of the runtime's own."""
    said = [diagnose(cause.example.splitlines()) for cause in CATALOGUE]
    return [failure for failure in [*said, *_own()] if failure.code == code]


def _own() -> Iterator[Failure]:
    """What the runtime finds by itself, with numbers as they may be."""
    yield verdicts.config_unusable("/etc/fairlead/config.json", ValueError("engine.blockSizes: unknown field"))
    yield verdicts.killed_for_memory(1)
    yield verdicts.died(-9, "INFO 11-24 02:10:11 [core.py:402] init engine took 3.1 s")
    yield verdicts.frozen(61)
    yield verdicts.stalled("2 request(s) pending and no engine step for 60 s; process 12 (VLLM::Worker) is stopped")
    yield verdicts.did_not_stop(318)
    yield verdicts.start_timeout("loading", 1710, 1800)
    yield verdicts.ignored([("spec.engine.blockSize", 48, 16)])
    yield verdicts.of_the_profile(diagnose([TWICE_QUANTIZED]), profiles.chosen({"profile": "ThroughputFP8"}))
    yield diagnose(
        ["(Worker pid=12) ERROR 11-24 02:10:11 [multiproc_executor.py:953] FooError: what nobody has met yet"]
    )


def _table(codes: Sequence[str]) -> str:
    rows = [
        f"| [`{code}`](#{code.lower()}) | {_field(REASONS[code].field)} | {REASONS[code].retry} | {cell(REASONS[code].remedy)} |"
        for code in codes
    ]
    return "\n".join(["| code | field | what happens next | remedy |", "|---|---|---|---|", *rows, ""])


def _section(code: str, reason: Reason) -> str:
    rows = [
        f"| {cell(failure.message)} | {_field(failure.field or reason.field)} | {cell(failure.suggestion or reason.remedy)} |"
        for failure in examples(code)
    ]
    return "\n".join([f"### {code}\n", "| example | field | suggestion |", "|---|---|---|", *rows, ""])


def _field(field: str) -> str:
    return f"`{field}`" if field else ""


def cell(text: str) -> str:
    """One line, without what Markdown would read as its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
