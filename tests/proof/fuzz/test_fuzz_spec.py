"""Whatever a spec says, it is resolved or refused with a sentence: nothing else ends the resolver, the builders or `fairlead plan`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import strategies as st

from fairlead_cli.commands.plan import plan
from fairlead_cli.local.errors import LocalError
from fairlead_cli.plan import service
from fairlead_operator.api import fields
from fairlead_operator.core import arguments, engines
from fairlead_operator.core.build import build_objects
from fairlead_operator.core.build.template import render
from fairlead_operator.core.reasons import REASONS
from fairlead_operator.core.rejection import Rejection
from fairlead_operator.core.resolve import Defaults, resolve
from fairlead_operator.core.revisions import Revision, Rollout
from proof.fuzz.inputs import ANYTHING, JUNK, NASTY, QUANTITY, SCHEMA, SECRET, TEXT, damaged, values
from proof.fuzz.trying import fuzzed, work

#: Python calls that a spec of 64 KiB and a command line of 64 arguments may take. The largest seen is a tenth of it.
CALLS = 500_000
VERSIONS = st.sampled_from(["", *engines.parsers(), "9.99"])
SPECS = damaged(values(SCHEMA))


def whole(spec: Any) -> dict[str, Any]:
    """The object as the API server returns it."""
    metadata = {"name": "mine", "namespace": "models", "uid": "7c8a2f0e", "generation": 1}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "InferenceService", "metadata": metadata, "spec": spec}


def judged(rejection: Rejection) -> None:
    """It names a known reason, a field if any of the spec, and says something that can be printed."""
    assert rejection.reason in {str(name) for name in REASONS}
    assert rejection.field == "" or rejection.field.startswith(("spec", "metadata"))
    assert len(rejection.message) > 10
    rejection.message.encode()


@fuzzed("resolver and builders", SPECS, VERSIONS)
def test_a_spec_is_built_or_refused(spec: Any, version: str) -> None:
    raw = whole(spec)
    before = json.dumps(raw)
    with work(CALLS):
        outcome = resolve(raw, Defaults("runtime", "runtime-cpu", engine_version=version, engine_version_cpu=version))
        assert json.dumps(raw) == before, "the object was changed"
        if isinstance(outcome, Rejection):
            judged(outcome)
            return
        revision = Revision(outcome.revision_name, 1, render(outcome))
        objects = build_objects(outcome, Rollout(revision, revision))
        again = build_objects(outcome, Rollout(revision, revision))
    assert {each["kind"] for each in objects} >= {"ControllerRevision", "ConfigMap", "Service", "Deployment"}
    assert outcome.source.reference.isprintable()
    assert json.dumps(objects, allow_nan=False) == json.dumps(again)
    assert all(each["metadata"]["namespace"] == "models" for each in objects)


FLAGS = st.sampled_from(sorted({flag for parser in engines.parsers().values() for flag in parser.by_flag}))
ITEMS = st.one_of(
    FLAGS.map(lambda flag: [flag]),
    st.tuples(FLAGS, NASTY | TEXT).map(list),
    st.tuples(FLAGS, NASTY | TEXT).map(lambda both: [f"{both[0]}={both[1]}"]),
    st.tuples(FLAGS, NASTY | TEXT, JUNK).map(lambda three: [f"{three[0]}.{three[1]}", json.dumps(three[2])]),
    st.tuples(FLAGS, st.integers(3, 12)).map(lambda both: [both[0][: both[1]].replace("-", "_")]),
    (NASTY | TEXT).map(lambda text: [text]),
)
WORDS = st.lists(ITEMS, max_size=4).map(lambda items: [word[:4096] for item in items for word in item if word])


@fuzzed("extraArgs", WORDS, VERSIONS)
def test_a_command_line_is_taken_or_refused(words: list[str], version: str) -> None:
    with work(CALLS):
        verdict = arguments.judge(words, version)
    if verdict is not None:
        judged(verdict)


#: Every way to write a flag and its value.
WRITTEN = st.sampled_from(
    [
        ["{flag}", "{secret}"],
        ["{flag}={secret}"],
        ["{flag} {secret}"],
        ["{flag}\t{secret}"],
        ["{flag}.x", "{secret}"],
        ["{flag}.x={secret}"],
        ["{flag}+={secret}"],
        ["{flag}", "--", "{secret}"],
        ["{flag}={secret}", "{secret}"],
    ]
)
SECRET_FLAGS = st.sampled_from(
    ["--hf-token", "--api-key", "--hf_token", "--api_key", "--hf-tok", "--api-k", "--ssl-keyfile"]
)


@fuzzed("secrets in extraArgs", WRITTEN, SECRET_FLAGS, WORDS, WORDS, VERSIONS, share=0.5)
def test_no_refusal_repeats_a_secret(
    written: list[str], flag: str, before: list[str], after: list[str], version: str
) -> None:
    here = [word.format(flag=flag, secret=SECRET) for word in written]
    for words in (here, [*before, *here, *after]):
        verdict = arguments.judge(words, version)
        assert verdict is None or SECRET not in f"{verdict.message} {verdict.field}"


@fuzzed("quantities", QUANTITY | NASTY | TEXT | st.integers())
def test_a_quantity_is_a_number_or_refused(text: int | str) -> None:
    try:
        assert fields.amount(text) >= 0
    except ValueError:
        return


#: In a file anything can stand beside the spec.
OBJECTS = damaged(
    st.builds(lambda spec, notes: {**whole(spec), "metadata": {"name": "mine", "annotations": notes}}, SPECS, ANYTHING)
)
MANIFESTS = st.one_of(
    OBJECTS.map(lambda document: yaml.safe_dump(document, allow_unicode=True)),
    OBJECTS.map(json.dumps),
    st.lists(ANYTHING, max_size=3).map(yaml.safe_dump_all),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.sampled_from(
        [
            "[" * 3000,
            "a: 2024-13-45",
            "a: " + "9" * 5000,
            "{? [a]: 1}",
            "a: !!python/object:os.system x",
            "a: &a [*a]",
            "a: !!timestamp x",
            "a: !!binary 'é'",
            "a: !!int ''",
            "a: !!float ''",
            "<<: 1",
            "!!set {a, b}",
            "a: 1:99:99.x",
            "\ufeff",
        ]
    ),
).filter(lambda text: len(text) < 60_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@fuzzed("fairlead plan -f", MANIFESTS)
def test_a_file_is_read_or_refused(folder: Path, text: str) -> None:
    file = folder / "service.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        with work(3 * CALLS):
            service.read(file)
    except service.PlanError as error:
        told = str(error)
    else:
        return
    assert len(told) > 10
    told.encode()


@fuzzed("fairlead plan", OBJECTS.map(json.dumps), st.sampled_from(["H200", "16GiB", "1 MB", "", "x"]), share=0.25)
def test_a_plan_ends_with_a_verdict_or_a_sentence(folder: Path, text: str, gpu: str) -> None:
    file = folder / "planned.json"
    file.write_text(text, encoding="utf-8")
    weights = Path(__file__).parents[3] / "examples" / "model" / "weights"
    done = CliRunner().invoke(plan, ["-f", str(file), "--model-folder", str(weights), "--gpu", gpu])
    assert done.exception is None or isinstance(done.exception, LocalError | SystemExit), done.exception
    assert done.exit_code in {0, 1, 3}
