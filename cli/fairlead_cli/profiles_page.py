"""docs/profiles.md: what each profile sets, what that trades, and the figures that justify it. `make generate`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from fairlead_cli.bench.record import Row, RuntimeRecord
from fairlead_cli.benchmarks_page import table
from fairlead_runtime.profiles import FP8, PROFILES, Profile, Settings

PAGE = Path("docs/profiles.md")
#: Written by the benchmark on a GPU machine; absent until it has run.
FIGURES = Path("docs/benchmarks/runtime-gpu.json")
HEAD = f"""\
# Profiles

<!-- Made by `make generate` from runtime/fairlead_runtime/profiles.py and {FIGURES}. -->

A profile is a small, named set of engine settings:

```yaml
spec:
  engine:
    profile: Throughput
```

It speaks only where the spec is silent. A field of `spec.engine` wins over it, and so does an argument in `engine.extraArgs`; what
neither of them sets is the engine's own default. `GET /state` on a pod's port 9090 has, under `effective`, every value that the
engine runs with and who chose it: `spec`, `profile`, `fairlead default` or `engine default`. A setting of the profile that the
engine does not take is an error, `SettingIgnored`, and never a line in a log.
"""
MEASURED = """
Each profile has its figures below: bare vLLM with its own defaults, and fairlead with the profile, in one run. Machine, versions, command
and intervals are in [benchmarks](benchmarks/README.md).
"""
QUANTIZED = f"""\
## {" and ".join(FP8)}

Weights are quantized while they are loaded; the model itself stays as it is.

- They need an accelerator, best one that computes in fp8. On `resources.device: CPU` they are refused: `Accepted=False`, `InvalidSpec`.
- A model whose configuration names the method fp8 is taken as it is. One with another method, such as awq, gptq or
  compressed-tensors, stops with `UnsupportedQuantization` and the field `spec.engine.profile`: no engine quantizes twice. Take the
  profile without FP8; or set `engine.quantization` to the model's own method, which wins, and the rest of the profile holds.
"""


def figures(path: Path = FIGURES) -> RuntimeRecord | None:
    """What was measured, None before anything was. Raises ValueError that names the file and what is wrong in it."""
    if not path.exists():
        return None
    try:
        return RuntimeRecord.model_validate_json(path.read_bytes())
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"{path}: {place}: {first['msg']}") from invalid


def page(measured: RuntimeRecord | None) -> str:
    """The whole page."""
    rows = [(f"[`{name}`](#{name.lower()})", _sets(settings)) for name, settings in PROFILES.items()]
    about = MEASURED if measured else ""
    sections = [_section(profile, settings, measured) for profile, settings in PROFILES.items()]
    return "\n".join([HEAD + about, f"{table(('profile', 'sets'), rows)}\n", *sections, QUANTIZED])


def _sets(settings: Settings) -> str:
    fields = [f"`{name}: {value}`" for name, value in settings.fields.items()]
    return ", ".join([*fields, *(f"`{flag}={value}`" for flag, value in settings.flags.items())]) or "nothing"


def _section(profile: Profile, settings: Settings, measured: RuntimeRecord | None) -> str:
    default = " This is the default." if profile is Profile.BALANCED else ""
    rows = [row for row in measured.rows if row.profile == profile] if measured else []
    return f"## {profile}\n\n{settings.trades}{default}\n\n{_measured(rows) if rows else 'Not measured yet.'}\n"


def _measured(rows: Sequence[Row]) -> str:
    """Bare vLLM has its own defaults in every row, so that a profile's own gain is in the ratio."""
    return table(
        ("requests at a time", "mode", "bare tok/s", "fairlead tok/s", "ratio", "asked", "", "note"),
        [
            (
                str(row.concurrency),
                row.mode,
                *("" if rate is None else f"{rate:,.0f}" for rate in (row.bare_tok_s, row.fairlead_tok_s)),
                "" if row.ratio is None else f"{row.ratio:.3f}",
                "" if row.gate is None else f"{row.gate:g}",
                row.verdict,
                row.note,
            )
            for row in sorted(rows, key=lambda row: row.concurrency)
        ],
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(figures()), encoding="utf-8")
