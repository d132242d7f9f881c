"""What the documentation names exists: fields, files, targets of make, commands and their options, labels and annotations."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from fairlead_cli.__main__ import fairlead
from fairlead_cli.images import recipes
from fairlead_cli.site import chart
from fairlead_operator.api.crd import definition
from fairlead_operator.core import names

ROOT = Path(__file__).parents[4]
PAGES = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
]
SCHEMA = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
VALUES = {value.path for value in chart.values((ROOT / "charts/fairlead/values.yaml").read_text(encoding="utf-8"))}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
#: Who chose a setting, in the pods' own words.
NO_COMMAND = "fairlead default"
FOLDERS = ("benchmarks/", "charts/", "cli/", "crds/", "docs/", "examples/", "locks/", "operator/", "runtime/", "tests/")


def spans(page: Path) -> Iterator[str]:
    """Code within sentences and tables."""
    text = re.sub(r"^([ ]*)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", text)


def commands(page: Path) -> Iterator[list[str]]:
    """Lines that a reader would type, as words; continued lines are one."""
    for block in re.findall(
        r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    ):
        lines = block.replace("\\\n", " ").splitlines()
        shown = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if line.startswith("$ ") or not shown:
                try:
                    yield shlex.split(line.removeprefix("$ "), comments=True)
                except ValueError:
                    continue  # the first line of a text in quotes


def known_field(path: str, schema: Mapping[str, Any]) -> bool:
    """Whether the path leads to a field; maps and what users may write freely end it."""
    for part in path.replace("[]", "").split("."):
        while "items" in schema:
            schema = schema["items"]
        if "properties" not in schema:
            return bool(schema.get("additionalProperties") or schema.get("x-kubernetes-preserve-unknown-fields"))
        if part not in schema["properties"]:
            return False
        schema = schema["properties"][part]
    return True


@pytest.mark.parametrize("page", PAGES)
def test_fields_exist(page: Path) -> None:
    tops = "|".join(SCHEMA["spec"]["properties"])
    wrong = []
    for span in spans(page):
        if found := re.fullmatch(r"(spec|status)((?:\.[A-Za-z]+(?:\[\])?)+)", span):
            if not known_field(found[2][1:], SCHEMA[found[1]]):
                wrong.append(span)
        elif re.fullmatch(rf"(?:{tops})(?:\.[a-z][A-Za-z]+)+", span) and span not in VALUES:
            wrong += [] if known_field(span, SCHEMA["spec"]) else [span]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page: Path) -> None:
    paths = [span for span in spans(page) if span.startswith(FOLDERS) and re.fullmatch(r"[\w./-]+", span)]

    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page: Path) -> None:
    typed = [words[1:] for words in commands(page) if words[:1] == ["make"]]
    typed += [span.split()[1:] for span in spans(page) if span.startswith("make ")]
    targets = [word for words in typed for word in words if "=" not in word]

    assert [target for target in targets if target not in TARGETS] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: Path) -> None:
    within = (
        span for span in spans(page) if span.startswith(("fairlead ", "kubectl fairlead ")) and span != NO_COMMAND
    )
    typed = [*commands(page), *map(shlex.split, within)]
    wrong = [words for words in typed if (rest := after_fairlead(words)) is not None and not takes(fairlead, rest)]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_versions_of_the_engines_are_those_in_the_images(page: Path) -> None:
    (base,) = re.findall(r"^ARG BASE=\S+:v(\S+)$", (ROOT / "runtime" / "Dockerfile").read_text(), flags=re.MULTILINE)
    told = set(re.findall(r"runtime\.(engineVersion(?:CPU)?)=([0-9]\S*)", page.read_text(encoding="utf-8")))

    assert told <= {("engineVersion", base), ("engineVersionCPU", recipes.engine_version())}


def after_fairlead(words: list[str]) -> list[str] | None:
    """The words behind `fairlead`, however it is called; None for another program."""
    if words[:2] == ["kubectl", "fairlead"]:
        return words[2:]
    return words[1:] if words and words[0].rpartition("/")[2] == "fairlead" else None


def takes(command: click.Command, words: list[str]) -> bool:
    """Whether the command knows the subcommand and the options among the words."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        if not words or words[0].startswith("-"):
            return True
        below = command.get_command(context, words[0])
        return below is not None and takes(below, words[1:])
    known = {name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)}
    return {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)} <= known


@pytest.mark.parametrize("page", PAGES)
def test_labels_and_annotations_exist(page: Path) -> None:
    values = {value for value in vars(names).values() if isinstance(value, str)}
    text = page.read_text(encoding="utf-8")
    told = set(re.findall(r"\bfairlead\.dev/[a-z-]+[a-z]\b(?!\d)", text)) - {"fairlead.dev/v"}

    assert {name for name in told if name not in values} <= {"fairlead.dev/operator"}


def test_what_does_not_exist_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "`spec.engine.maxModelLength` `cli/none.py` `make nothing` `fairlead.dev/none`\n\n```console\n$ fairlead why --none\n```\n"
    page.write_text(text, encoding="utf-8")

    for check in (
        test_fields_exist,
        test_files_exist,
        test_targets_of_make_exist,
        test_commands_and_options_exist,
        test_labels_and_annotations_exist,
    ):
        with pytest.raises(AssertionError):
            check(page)
