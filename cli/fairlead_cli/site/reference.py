"""docs/reference.md: every field of the resource, from the CustomResourceDefinition. `make generate`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead_cli.failures_page import cell
from fairlead_operator.api import v1alpha1 as api
from fairlead_operator.api.crd import definition
from fairlead_operator.core import environment, names
from fairlead_operator.core.engines.allowed import CLOSED
from fairlead_runtime.flags import FIELDS

Schema = Mapping[str, Any]

PAGE = Path("docs/reference.md")
#: A bound that is only there because every number needs one.
UNBOUNDED = 2**31 - 1
HEAD = f"""\
# The resource, field by field

<!-- Made by `make generate` from operator/fairlead_operator/api. -->

`apiVersion: {api.API_VERSION}`, `kind: {api.KIND}`, short name `{api.SHORT_NAME}`. Beside another resource of the same kind write
`{api.PLURAL}.{api.GROUP}`. The same is in the cluster:

```console
$ kubectl explain infs.spec.engine --recursive
```

A field that is not set has the default that stands here; where there is none, what it says under *means*. Unknown fields are refused under
strict validation, which is kubectl's default. `metadata.name` has at most 50 characters, for it becomes the name of a Service.
"""
ANNOTATIONS = (
    (names.RETRY, "Any new value: a service that was given up, or a spec that was taken back, is tried again."),
    (
        names.ADOPT_DEFAULTS,
        "Any new value, by custom a release: pods are made anew with the images and defaults of the operator that runs.",
    ),
    (
        names.SKIP_PLAN,
        "`true`: what the memory plan says cannot fit is started nevertheless, whether the operator or the runtime in the pod made the plan."
        " Setting it is a rollout like a change of the spec, unless the pods that run have served and do not lack memory: those stay. Taking"
        " it away is a rollout of pods that were made with it.",
    ),
)


def page() -> str:
    """The whole page."""
    (version,) = definition()["spec"]["versions"]
    whole = version["schema"]["openAPIV3Schema"]["properties"]
    sections = [section for part in ("spec", "status") for section in _sections(part, whole[part])]
    return "\n".join([HEAD, *sections, _annotations(), _flags(), _environment(), _arguments()])


def _sections(path: str, schema: Schema) -> Iterator[str]:
    """The object's own table, then those of the objects in it."""
    rows = [
        _row(name, child, required=name in schema.get("required", ())) for name, child in schema["properties"].items()
    ]
    head = ["| field | type | default | bounds | means |", "|---|---|---|---|---|"]
    level = "##" if "." not in path else "###"
    told = [f"- {cell(rule['message'])}" for rule in schema.get("x-kubernetes-validations", ())]
    refused = ["", "Refused by the API server:", "", *told] if told else []
    yield "\n".join([f"{level} {path}", "", schema["description"], "", *head, *rows, *refused, ""])
    for name, child in schema["properties"].items():
        inner, brackets = (child["items"], "[]") if child.get("type") == "array" else (child, "")
        if "properties" in inner:
            # A list's own words are in its row; the object's are those of one entry.
            yield from _sections(f"{path}.{name}{brackets}", inner)


def _row(name: str, schema: Schema, *, required: bool) -> str:
    default = f"`{_written(schema['default'])}`" if "default" in schema else "required" if required else ""
    meaning = cell(schema["description"])
    if schema.get("type") != "object":
        meaning += "".join(f" *{cell(rule['message'])}*." for rule in schema.get("x-kubernetes-validations", ()))
    return f"| `{name}` | {_type(schema)} | {default} | {_bounds(schema)} | {meaning} |"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value != "" else '""'


def _type(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity" if "pattern" in schema else "integer or string"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        return "map" if "additionalProperties" in schema else "object"
    return "time" if schema.get("format") == "date-time" else str(schema["type"])


def _bounds(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return ""
    if schema.get("type") == "array":
        most = f"at most {schema['maxItems']}" if "maxItems" in schema else ""
        return "; ".join(filter(None, [most, _bounds(schema["items"])]))
    low, high = schema.get("minimum"), schema.get("maximum")
    said = [] if low is None else [f"{low:,} or more" if high is None or high >= UNBOUNDED else f"{low:,} to {high:,}"]
    if "maxLength" in schema:
        said.append(f"at most {schema['maxLength']:,} characters")
    if "maxProperties" in schema:
        said.append(f"at most {schema['maxProperties']}")
    return ", ".join(said)


def _annotations() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in ANNOTATIONS]
    return "\n".join(["## Annotations", "", "| annotation | means |", "|---|---|", *rows, ""])


def _flags() -> str:
    flags: dict[str, list[str]] = {}
    for flag, field in FIELDS.items():
        flags.setdefault(field, []).append(f"`{flag}`")
    rows = [f"| `{field}` | {', '.join(each)} |" for field, each in flags.items()]
    head = ["## What fields set of vLLM", "", "In `engine.extraArgs` these are refused, in every spelling:", ""]
    return "\n".join([*head, "| field | vLLM's arguments |", "|---|---|", *rows, ""])


def _environment() -> str:
    prefixes = ", ".join(f"`{prefix}*`" for prefix in environment.ALLOWED_PREFIXES)
    refused = ", ".join(f"`{part}`" for part in environment.REFUSED_PARTS)
    instead = [f"| `{name}` | {remedy} |" for name, remedy in sorted(environment.INSTEAD.items())]
    allowed = ", ".join(f"`{name}`" for name in sorted(environment.ALLOWED))
    return "\n".join(
        [
            "## Variables in engine.env",
            "",
            f"These, and {prefixes} but for names with {refused} in them, which load code or open ports:",
            "",
            allowed,
            "",
            "| instead of | do this |",
            "|---|---|",
            *instead,
            "",
        ]
    )


def _arguments() -> str:
    flags: dict[str, list[str]] = {}
    for name, why in CLOSED.items():
        flags.setdefault(why, []).append(f"`--{name.replace('_', '-')}`")
    rows = [f"| {why} | {', '.join(each)} |" for why, each in flags.items()]
    return "\n".join(
        [
            "## Arguments that engine.extraArgs may not have",
            "",
            "Beside these, what [fields](#what-fields-set-of-vllm) set, and what this release of fairlead does not know yet. The spelling is the"
            " engine's own: abbreviations, `--no-` forms and JSON values are judged like the whole.",
            "",
            "| because | arguments |",
            "|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
