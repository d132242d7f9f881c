"""Pages that are made from code have all that there is of it, and every link in the documentation leads somewhere."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fairlead_cli.site import examples, navigation, reference, runbook
from fairlead_cli.site.meanings import MEANS
from fairlead_operator.api.crd import definition
from fairlead_operator.core import environment
from fairlead_operator.core.reasons import REASONS
from fairlead_runtime.guard_routes import ROUTES

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "locks" / "README.md"])
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
REFERENCE = reference.page()
RUNBOOK = runbook.page()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """The page without code, in which a link is none."""
    text = re.sub(r"^([ ]*)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text)


def anchors(page: Path) -> set[str]:
    """Of its headings, as the site and most viewers of Markdown make them."""
    found: set[str] = set()
    text = re.sub(r"^([ ]*)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = unicodedata.normalize("NFKD", re.sub(r"[`*]", "", heading)).encode("ascii", "ignore").decode()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


def links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if not target.startswith(("http://", "https://")):
            yield target


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(DOCS))) for page in DOCS.rglob("*.md")])
def test_a_page_of_the_site_links_to_pages_of_the_site_only(page: Path) -> None:
    outside = [target for target in links(page) if not (page.parent / target).resolve().is_relative_to(DOCS)]

    assert outside == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n\n[a](#one) [b](#two) [`c`](other.md) `[d](e)`\n\n```\n[f](g)\n```\n", encoding="utf-8")

    assert list(links(page)) == ["#one", "#two", "other.md"]
    assert anchors(page) == {"one"}


def test_every_page_stands_in_the_menu_once() -> None:
    menu = sorted(navigation.named(navigation.completed(SITE["nav"], DOCS)))

    assert menu == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_a_new_page_is_in_the_menu_by_itself(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("index.md", "new.md", "a.md", "benchmarks/soak.md", "benchmarks/README.md", "benchmarks/data.json"):
        (tmp_path / name).touch()

    menu = navigation.completed([{"Home": "index.md"}, "a.md", {"Measured": "benchmarks/"}], tmp_path)

    measured = ["benchmarks/README.md", "benchmarks/soak.md"]
    assert menu == [{"Home": "index.md"}, "a.md", {"Measured": measured}, {"More": ["new.md"]}]


def fields(path: str, schema: dict[str, object]) -> Iterator[tuple[str, str]]:
    """(section, field) of everything in a schema."""
    properties = schema.get("properties") or {}
    assert isinstance(properties, dict)
    for name, child in properties.items():
        yield path, name
        yield from fields(f"{path}.{name}", child)
        yield from fields(f"{path}.{name}[]", child.get("items") or {})


def test_the_reference_has_every_field_in_its_section() -> None:
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    sections = dict(re.findall(r"^#+ (\S+)\n(.*?)(?=^#+ |\Z)", REFERENCE, flags=re.DOTALL | re.MULTILINE))
    wanted = [*fields("spec", schema["spec"]), *fields("status", schema["status"])]

    assert len(wanted) > 100
    assert [(path, name) for path, name in wanted if f"| `{name}` |" not in sections.get(path, "")] == []


@pytest.mark.parametrize(
    "row",
    [
        "| `replicas` | integer | `1` | 0 to 1,000 |",
        "| `uri` | string | required | at most 512 characters |",
        "| `device` | string | `Accelerator` | `Accelerator`, `CPU` |",
        "| `kvCacheMemory` | quantity |  |  |",
        "| `extraArgs` | list of string |  | at most 64; at most 4,096 characters |",
        "| `readyReplicas` | integer | `0` | 0 or more |",
        "| `spec.engine.maxModelLen` | `--max-model-len` |",
    ],
)
def test_the_reference_tells_type_default_and_bounds(row: str) -> None:
    assert row in REFERENCE


def test_the_reference_has_every_variable_that_is_allowed() -> None:
    assert [name for name in environment.ALLOWED if f"`{name}`" not in REFERENCE] == []


def test_every_reason_has_a_meaning_and_none_that_does_not_exist() -> None:
    assert MEANS.keys() == REASONS.keys()


@pytest.mark.parametrize("code", REASONS)
def test_the_runbook_says_what_to_look_at_and_what_to_do(code: str) -> None:
    (section,) = re.findall(rf"^### {code}\n(.*?)(?=^##|\Z)", RUNBOOK, flags=re.DOTALL | re.MULTILINE)

    assert MEANS[code] in section
    assert REASONS[code].remedy in section
    assert re.search(r"^\$ (kubectl|fairlead) ", section, flags=re.MULTILINE)


def test_every_example_is_on_the_page_of_examples_as_it_stands() -> None:
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.yaml")}
    page = examples.page(ROOT / "examples")

    assert sorted(files) == sorted(name for names in examples.GROUPS.values() for name in names)
    assert [name for name, text in files.items() if f"### {name}\n\n```yaml\n{text}```" not in page] == []


def test_the_page_about_security_has_the_routes_that_are_served_and_no_other() -> None:
    section = re.findall(
        r"^## Routes\n(.*?)(?=^## )", (DOCS / "security.md").read_text(), flags=re.DOTALL | re.MULTILINE
    )

    told = {(path, method) for method, path in re.findall(r"`(GET|POST) (/[^`]*)`", section[0])}

    assert told == set(ROUTES.items())


def test_pages_name_metrics_that_exist() -> None:
    pages = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("operations.md", "observability.md"))
    told = set(re.findall(r"`(fairlead_\w+)", pages))
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("operator/fairlead_operator/controller", "runtime/fairlead_runtime")
        for path in sorted((ROOT / folder).glob("*.py"))
    )

    assert len(told) > 10
    assert [name for name in sorted(told) if f'"{name.removesuffix("_total")}' not in source] == []
