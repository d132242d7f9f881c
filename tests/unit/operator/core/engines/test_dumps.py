"""The dumps that are shipped, and what is decided about every destination in them."""

import re
from pathlib import Path

import pytest

from fairlead_cli.images.recipes import engine_version
from fairlead_operator.core import engines
from fairlead_operator.core.engines.allowed import ALLOWED, CLOSED, CLOSED_KEYS, NEEDED
from fairlead_operator.core.engines.parser import Parser
from fairlead_runtime import profiles
from fairlead_runtime.flags import FIELDS

ROOT = Path(__file__).resolve().parents[5]
VERSIONS = tuple(engines.parsers())


def each() -> list[Parser]:
    return list(engines.parsers().values())


def test_the_versions_of_the_releases_images_have_a_dump() -> None:
    dockerfile = (ROOT / "runtime" / "Dockerfile").read_text(encoding="utf-8")

    assert engine_version() == engines.CPU
    assert f"vllm-openai:v{engines.ACCELERATOR}" in dockerfile
    assert all(engines.parser_of(version) for version in (engines.CPU, engines.ACCELERATOR))


@pytest.mark.parametrize(
    ("version", "found"),
    [("0.32.0", "0.32.0"), ("0.32.1", "0.32.0"), ("0.26.0+cpu", "0.26.0"), ("0.99.0", None), ("", None)],
)
def test_a_patch_release_is_judged_by_its_minor_release(version: str, found: str | None) -> None:
    parser = engines.parser_of(version)

    assert (parser and parser.version) == found


def test_the_parser_of_one_version_is_made_from_its_dump_alone() -> None:
    engines._read.cache_clear()
    engines.parser_of(engines.ACCELERATOR)

    assert engines._read.cache_info().currsize == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_every_destination_is_decided_once(version: str) -> None:
    """A destination that is new in a version is to be put into one of the two lists, or to become a field."""
    arguments = engines.parsers()[version].arguments
    fields = {argument.dest for argument in arguments if any(flag in FIELDS for flag in argument.flags)} | {"model_tag"}
    found = {argument.dest for argument in arguments}

    assert found - fields - set(CLOSED) - ALLOWED == set()
    assert fields & set(CLOSED) == set()
    assert fields & ALLOWED == set()


def test_nothing_is_decided_about_what_no_version_has() -> None:
    found = {argument.dest for parser in each() for argument in parser.arguments}

    assert (set(CLOSED) | ALLOWED | set(CLOSED_KEYS) | set(NEEDED)) - found == set()
    assert set(CLOSED) & ALLOWED == set()
    assert set(CLOSED_KEYS) <= ALLOWED


@pytest.mark.parametrize("version", VERSIONS)
def test_the_flags_of_profiles_and_of_needed_arguments_exist(version: str) -> None:
    known = engines.parsers()[version].by_flag

    assert set(profiles.FLAGS) <= set(known)
    assert all(known[flag].dest == dest for dest, flag in NEEDED.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dump_says_the_same_on_every_machine(version: str) -> None:
    text = (Path(engines.__file__).parent / f"vllm-{version}.json").read_text(encoding="utf-8")

    assert not re.search(r"0x[0-9a-f]{6,}|/root|/home|/tmp", text)
