"""`fairlead plan`, from the file of a service to exit code, table, JSON and picture."""

import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from click.testing import CliRunner, Result

from architectures import LLAMA_70B, MISTRAL_7B
from fairlead_cli.__main__ import main
from fairlead_cli.commands.plan import plan
from fairlead_cli.plan.service import PlanError, read
from fairlead_operator.controller.hub import Hub, UnreadableError
from fairlead_operator.core.checkpoint import Checkpoint
from fairlead_runtime import memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def asked(folder: Path, config: dict[str, Any], *options: str, **spec: Any) -> Result:
    """`fairlead plan` of a service whose model's config.json is `config`."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    service = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "mine"},
        "spec": {"model": {"uri": "hf://org/model"}, **spec},
    }
    (folder / "service.yaml").write_text(yaml.safe_dump(service), encoding="utf-8")
    arguments = ["-f", str(folder / "service.yaml"), "--model-folder", str(folder), *options]
    return CliRunner().invoke(plan, arguments)


def told(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.parametrize(
    ("config", "options", "spec", "code", "fields"),
    [
        pytest.param(MISTRAL_7B, ("--gpu", "H200"), {}, 0, [], id="7B on an H200"),
        pytest.param(
            MISTRAL_7B, ("--gpu", "L4", "--batch", "4"), {}, 1,
            ["spec.engine.maxModelLen", "spec.parallelism.tensor"],
            id="four whole contexts on 22 GiB: a shorter one, or two GPUs",
        ),
        pytest.param(
            MISTRAL_7B, ("--gpu", "16GiB"), {"engine": {"maxModelLen": 32768}}, 1,
            ["spec.engine.quantization", "spec.parallelism.tensor"],
            id="weights that leave no room: smaller ones, or two GPUs",
        ),
        pytest.param(LLAMA_70B, ("--gpu", "H100"), {}, 1, ["spec.parallelism.tensor"], id="70B on one H100: four"),
        pytest.param(MISTRAL_7B, (), {"placement": {"minAcceleratorMemory": "80Gi"}}, 0, [], id="the memory that the spec asks for"),
        pytest.param(MISTRAL_7B, (), {}, 3, [], id="no GPU is named: not known"),
    ],
)  # fmt: skip
def test_verdict_and_ways(
    folder: Path, config: dict[str, Any], options: tuple[str, ...], spec: dict[str, Any], code: int, fields: list[str]
) -> None:
    result = asked(folder, config, *options, "-o", "json", **spec)

    document = told(result)
    assert result.exit_code == code, document
    assert [way["field"] for way in document["ways"]] == fields
    assert document["fits"] == (code == 0)


def test_a_way_is_a_plan_that_fits(folder: Path) -> None:
    (length, *_) = told(asked(folder, MISTRAL_7B, "--gpu", "L4", "--batch", "4", "-o", "json"))["ways"]

    again = asked(folder, MISTRAL_7B, "--gpu", "L4", "--batch", "4", engine={"maxModelLen": int(length["value"])})
    longer = asked(
        folder, MISTRAL_7B, "--gpu", "L4", "--batch", "4", engine={"maxModelLen": int(length["value"]) + 512}
    )

    assert (again.exit_code, longer.exit_code) == (0, 1)


def test_headers_of_a_folder_are_read_and_nothing_else(folder: Path) -> None:
    header = json.dumps({"model.layers.0.mlp.up_proj.weight": {"dtype": "BF16", "shape": [1 << 16, 1 << 16]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)

    document = told(asked(folder, MISTRAL_7B, "--gpu", "H200", "-o", "json"))

    assert document["plan"]["weightsBytes"] == 2 << 32


def test_the_table_names_what_was_assumed(folder: Path) -> None:
    result = asked(folder, MISTRAL_7B, "--gpu", "nvidia-h200")

    assert result.stdout.startswith("service      mine (MistralForCausalLM)\nverdict      fits\n")
    assert "assumed      gpuMemoryUtilizationPercent 92" in result.stdout


@pytest.mark.parametrize(
    ("gpu", "tokens"), [("A100-80GB", 2048), ("nvidia-a100-sxm4-80gb", 2048), ("H100", 8192), ("80GiB", 8192)]
)
def test_steps_are_those_of_the_gpu_that_is_named(folder: Path, gpu: str, tokens: int) -> None:
    assert told(asked(folder, MISTRAL_7B, "--gpu", gpu, "-o", "json"))["assumed"]["maxNumBatchedTokens"] == tokens


@pytest.mark.parametrize(
    ("options", "spec", "said"),
    [
        pytest.param(("--gpu", "H900"), {}, "write its memory, such as 80GiB", id="an unknown GPU"),
        pytest.param((), {"engine": {"extraArgs": ["--no-such-flag"]}}, "UnknownEngineArgument", id="an unknown flag"),
        pytest.param((), {"engine": {"maxModelLen": "long"}}, "InvalidSpec", id="a field with a wrong value"),
        pytest.param((), {"parallelism": {"tensor": 3}}, "32 attention heads", id="heads that cannot be split"),
    ],
)
def test_what_stands_in_the_way_is_said(
    folder: Path, options: tuple[str, ...], spec: dict[str, Any], said: str
) -> None:
    result = asked(folder, MISTRAL_7B, *options, **spec)

    assert isinstance(result.exception, PlanError)
    assert said in str(result.exception)


def test_what_must_be_corrected_first_is_told_and_is_no_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["fairlead", "plan", "-f", str(folder / "service.yaml"), "--gpu", "H900"])
    asked(folder, MISTRAL_7B)

    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr()
    assert ended.value.code == 3
    assert told.err.startswith("fairlead: --gpu H900 is not known")
    assert "Traceback" not in told.err + told.out


def test_a_second_model_that_guesses_is_read_from_the_hub_and_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: Hub, repository: str, revision: str = "") -> Checkpoint:
        if repository not in {"org/model", "org/draft"}:
            raise UnreadableError(f"no {repository} {revision}", 404)
        model = memory.read_config(LLAMA_70B if repository == "org/model" else MISTRAL_7B)
        return Checkpoint(model, memory.by_shape(model))

    def answer(**engine: Any) -> Result:
        asked(folder, LLAMA_70B, engine=engine)
        return CliRunner().invoke(plan, ["-f", str(folder / "service.yaml"), "--gpu", "H200", "-o", "json"])

    monkeypatch.setattr(Hub, "read", read)
    guessing = {"method": "draft_model", "tokens": 3}
    both, alone = answer(speculative={**guessing, "model": "hf://org/draft"}), answer()
    absent = answer(speculative={**guessing, "model": "hf://org/absent"})

    assert told(both)["plan"]["kvBytesPerToken"] - told(alone)["plan"]["kvBytesPerToken"] == 131_072
    with pytest.raises(
        PlanError, match=r"hf://org/absent cannot be read: .*; correct spec\.engine\.speculative\.model"
    ):
        raise absent.exception or AssertionError


def test_a_folder_without_a_model_is_named(folder: Path) -> None:
    asked(folder, MISTRAL_7B)
    (folder / "empty").mkdir()

    result = CliRunner().invoke(plan, ["-f", str(folder / "service.yaml"), "--model-folder", str(folder / "empty")])

    assert "needs config.json" in str(result.exception)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 3000, id="brackets without an end"),
        pytest.param("a: 2024-13-45", id="a day that is none"),
        pytest.param("a: !!int ;", id="a number that is none"),
        pytest.param("a: !!float", id="a number that is absent"),
        pytest.param("a: !!timestamp x", id="a time that is none"),
        pytest.param("a: " + "9" * 5000, id="a number with too many digits"),
        pytest.param("a: \x00", id="a character that no file has"),
    ],
)
def test_a_file_that_is_no_yaml_is_named(folder: Path, text: str) -> None:
    (folder / "service.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(PlanError, match=r"service\.yaml cannot be read"):
        read(folder / "service.yaml")


def test_annotations_that_are_no_map_are_named(folder: Path) -> None:
    document = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "spec": {"model": {"uri": "hf://a/b"}},
    }
    text = yaml.safe_dump({**document, "metadata": {"name": "mine", "annotations": ["fairlead.dev/retry"]}})
    (folder / "service.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(PlanError, match=r"metadata\.annotations is no map"):
        read(folder / "service.yaml")


@pytest.mark.parametrize(("config", "gpu"), [pytest.param(MISTRAL_7B, "L4", id="fits"), pytest.param(LLAMA_70B, "H100", id="does not fit")])  # fmt: skip
def test_the_picture_shows_what_the_gpu_holds(folder: Path, config: dict[str, Any], gpu: str) -> None:
    asked(folder, config, "--gpu", gpu, "--plot", str(folder / "out.svg"))

    drawing = ET.fromstring((folder / "out.svg").read_text(encoding="utf-8"))
    words = [element.text for element in drawing.iter() if element.tag.endswith("text")]
    assert {"weights", "overhead", "tokens of context of each request"} <= set(words)
    assert ("KV cache" in words) == (gpu == "L4")
