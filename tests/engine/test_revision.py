"""A branch is a commit from the first question on, asked of a hub by the huggingface_hub that the engine brings. No engine runs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .environment import engine_python
from .hub import COMMIT, Hub, serving
from .starts import MODEL, ROOT

PINNED = "f" * 40
SETTLE = """
import os, sys
from fairlead_runtime import arguments, revision
from fairlead_runtime.config import RuntimeConfig
config = RuntimeConfig.model_validate_json(sys.argv[1])
os.environ.update(arguments.build_environment(config, os.environ))
print(revision.settled(config, os.environ).model.revision)
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving({"org/tiny": MODEL, "org/secret": MODEL}) as started:
        started.tokens["org/secret"] = "sesame"
        yield started


def settled(hub: str, folder: Path, repository: str = "org/tiny", revision: str | None = None) -> str:
    """What the runtime makes of that revision."""
    config = {"model": {"servedName": "tiny", "repository": repository, "revision": revision}}
    environment = {
        "PYTHONPATH": str(ROOT / "runtime"),
        "HOME": str(folder),
        "HF_ENDPOINT": hub,
        "FAIRLEAD_PINNED": str(folder / "commit"),
        "FAIRLEAD_HUB_TOKEN": str(folder / "token"),
    }
    command = [engine_python(), "-P", "-c", SETTLE, json.dumps(config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_branch_becomes_the_commit_of_this_moment(hub: Hub, tmp_path: Path, revision: str | None) -> None:
    assert settled(hub.url, tmp_path, revision=revision) == COMMIT


def test_what_is_pinned_comes_first(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "commit").write_text(f"{PINNED}\n")

    assert settled(hub.url, tmp_path, revision="main") == PINNED


def test_a_commit_stays_what_it_is(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "commit").write_text(PINNED)

    assert settled(hub.url, tmp_path, revision=COMMIT) == COMMIT


def test_the_mounted_token_opens_a_private_repository(hub: Hub, tmp_path: Path) -> None:
    assert settled(hub.url, tmp_path, "org/secret", "main") == "main", "refused without it: the engine will say so"

    (tmp_path / "token").write_text("sesame\n")

    assert settled(hub.url, tmp_path, "org/secret", "main") == COMMIT


@pytest.mark.parametrize("repository", ["org/absent", "org/broken", "org/gated"])
def test_what_the_hub_refuses_is_left_to_the_engine(hub: Hub, tmp_path: Path, repository: str) -> None:
    assert settled(hub.url, tmp_path, repository, "v1") == "v1"
