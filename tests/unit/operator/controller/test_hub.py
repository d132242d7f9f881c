"""Reading a model's shape and size from a hub: headers only, bounded, the token for the hub alone."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from fairlead_operator.controller.hub import Hub, UnreadableError
from hub_server import REPOSITORY, hub

ROOT = Path(__file__).resolve().parents[4]
CONFIG = (ROOT / "examples" / "model" / "weights" / "config.json").read_bytes()
WEIGHTS = (ROOT / "examples" / "model" / "weights" / "model.safetensors").read_bytes()


def shard(matrix: str, layers: int, *, padding: int = 0) -> bytes:
    """A safetensors file whose header alone is written: 2 MB of each layer, and spaces that make the header longer."""
    tensors = {f"model.layers.{n}.mlp.{matrix}.weight": {"dtype": "BF16", "shape": [1024, 1024]} for n in range(layers)}
    header = json.dumps(tensors).encode() + b" " * padding
    return struct.pack("<Q", len(header)) + header


def size_of(files: Mapping[str, bytes], **server: bool) -> tuple[int, int]:
    """Bytes of weights, and requests that were made."""
    with hub(files, **server) as there:
        found = Hub(there.url).read(REPOSITORY)
        return (found.weights.size if found.weights else -1), len(there.asked)


@pytest.mark.parametrize("honours_ranges", [True, False])
def test_one_file_is_read_by_its_header(honours_ranges: bool) -> None:  # noqa: FBT001
    size, requests = size_of({"config.json": CONFIG, "model.safetensors": WEIGHTS}, honours_ranges=honours_ranges)

    assert 0.9 < size / len(WEIGHTS) <= 1
    assert requests == 3


def test_the_headers_of_all_files_of_an_index_are_summed() -> None:
    index = json.dumps({"metadata": {"total_size": 1}, "weight_map": {"a": "x.safetensors", "b": "y.safetensors"}})
    files = {"config.json": CONFIG, "model.safetensors.index.json": index.encode()}

    size, _ = size_of(
        {**files, "x.safetensors": shard("up_proj", 2), "y.safetensors": shard("down_proj", 1, padding=300_000)}
    )

    assert size == 3 * 2 * 1024 * 1024


def test_of_very_many_files_the_index_has_to_do() -> None:
    index = json.dumps(
        {"metadata": {"total_size": 4_000_000}, "weight_map": {str(n): f"{n}.safetensors" for n in range(17)}}
    )

    size, requests = size_of({"config.json": CONFIG, "model.safetensors.index.json": index.encode()})

    assert (round(size / 4_000_000, 2), requests) == (1.0, 2)


def test_without_weights_the_shape_tells() -> None:
    size, _ = size_of({"config.json": CONFIG})

    assert size > 1_000_000


def test_the_token_is_for_the_hub_and_not_for_where_it_points_to() -> None:
    with hub({"config.json": CONFIG, "model.safetensors": WEIGHTS}, elsewhere=True) as there:
        Hub(there.url, token="hf_secret").read(REPOSITORY, "v1")

        assert set(there.tokens) == {("127.0.0.1", "Bearer hf_secret"), ("localhost", "")}
        assert f"/{REPOSITORY}/resolve/v1/config.json" in there.asked


@pytest.mark.parametrize(
    ("files", "most_bytes", "said"),
    [
        pytest.param({}, 1 << 20, "the hub answers 404", id="no such model"),
        pytest.param({"config.json": b"{"}, 1 << 20, "org/model", id="no JSON"),
        pytest.param({"config.json": b"[]"}, 1 << 20, "org/model", id="no object"),
        pytest.param({"config.json": CONFIG + b" " * 9000}, 4096, "would have to be read", id="more than may be read"),
        pytest.param({"config.json": CONFIG, "model.safetensors": b"\xff" * 64}, 1 << 20, "org/model", id="no header"),
    ],
)
def test_what_cannot_be_read_says_why(files: Mapping[str, bytes], most_bytes: int, said: str) -> None:
    with hub(files) as there, pytest.raises(UnreadableError, match=said) as refused:
        Hub(there.url, most_bytes=most_bytes).read(REPOSITORY)

    assert refused.value.status != 0, "the hub did answer"


def test_time_is_bounded_over_all_requests() -> None:
    moments = iter(range(0, 1000, 4))
    with (
        hub({"config.json": CONFIG, "model.safetensors": WEIGHTS}) as there,
        pytest.raises(UnreadableError, match="longer than 10 s"),
    ):
        Hub(there.url, now=lambda: float(next(moments))).read(REPOSITORY)


def test_nobody_answers() -> None:
    with hub({}) as there:
        url = there.url

    with pytest.raises(UnreadableError) as refused:
        Hub(url).read(REPOSITORY)

    assert refused.value.status == 0
