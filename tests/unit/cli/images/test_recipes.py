"""What changes an image's name, and what does not."""

from pathlib import Path

import pytest

from fairlead_cli.images import bases, recipes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.py").write_text("a = 1\n")
    (folder / "inner" / "b.py").write_text("b = 2\n")
    return folder


def test_a_changed_file_changes_the_digest(source: Path) -> None:
    before = recipes.files_digest([source])

    (source / "inner" / "b.py").write_text("b = 3\n")

    assert recipes.files_digest([source]) != before


def test_a_renamed_file_changes_the_digest(source: Path) -> None:
    before = recipes.files_digest([source])

    (source / "a.py").rename(source / "c.py")

    assert recipes.files_digest([source]) != before


def test_bytecode_changes_nothing(source: Path) -> None:
    before = recipes.files_digest([source])

    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")

    assert recipes.files_digest([source]) == before


def test_content_that_moves_between_files_changes_the_digest(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, contents in ((first, ("ab", "c")), (second, ("a", "bc"))):
        folder.mkdir()
        for name, content in zip(("x", "y"), contents, strict=True):
            (folder / name).write_text(content)

    assert recipes.files_digest([first]) != recipes.files_digest([second])


def test_a_new_base_renames_everything_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipes.tags()

    monkeypatch.setattr(bases, "ENGINE_PACKAGES", (*bases.ENGINE_PACKAGES, "less"))
    after = recipes.tags()

    assert after.engine_system != before.engine_system
    assert after.engine != before.engine
    assert after.runtime != before.runtime
    assert (after.python, after.operator) == (before.python, before.operator)


def test_product_images_carry_the_release_and_their_inputs() -> None:
    name, _, tag = recipes.tags().runtime.partition(":")

    assert name == "localhost/fairlead/runtime-cpu"
    release, _, inputs = tag.rpartition("-")
    assert release == recipes.VERSION
    assert len(inputs) == 12


def test_every_source_of_an_image_is_in_the_repository() -> None:
    for sources in recipes.SOURCES.values():
        for source in sources:
            assert (recipes.ROOT / source).exists(), source


def test_the_runtime_on_another_base_is_another_image() -> None:
    names = {recipes.runtime_tag("runtime-x", base) for base in ("base:1", "base:2")}

    assert len(names) == 2
    assert {name.partition(":")[0] for name in names} == {"localhost/fairlead/runtime-x"}


@pytest.mark.parametrize("name", recipes.SOURCES)
def test_no_step_of_a_dockerfile_leaves_the_time_of_its_build(name: str) -> None:
    steps = (recipes.ROOT / name / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    commands = [command.strip() for step in steps if step.startswith("RUN ") for command in step[4:].split("&&")]
    users = [command for command in commands if "useradd" in command]
    compiled = [command for command in commands if "compileall" in command]

    # useradd writes today's date into /etc/shadow; bytecode that goes by its source's time names that.
    assert users
    assert [command for command in users if not command.startswith("SOURCE_DATE_EPOCH=0 useradd")] == []
    assert compiled
    assert [command for command in compiled if "--invalidation-mode unchecked-hash" not in command] == []
    # What pip ran before has left bytecode of its own, which is compiled anew only by force.
    assert [command for command in compiled if "/opt/venv" in command and " -f " not in command] == []
