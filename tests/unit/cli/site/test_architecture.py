"""The picture of the packages is drawn from their imports."""

from pathlib import Path
from xml.etree import ElementTree as ET

from fairlead_cli.site.architecture import BOXES, Graph, between, draw, imports, needed, placed, pure_modules

PROJECT = Path(__file__).parents[4] / "pyproject.toml"


def arrows(*pairs: str) -> Graph:
    found: dict[str, set[str]] = {}
    for pair in pairs:
        start, end = pair.split(">")
        found.setdefault(start, set()).add(end)
        found.setdefault(end, set())
    return {start: frozenset(ends) for start, ends in found.items()}


def test_an_arrow_that_a_longer_way_implies_is_left_out() -> None:
    assert needed(arrows("a>b", "b>c", "a>c")) == [("a", "b"), ("b", "c")]


def test_what_imports_each_other_keeps_both_arrows() -> None:
    assert needed(arrows("a>b", "b>a", "b>c")) == [("a", "b"), ("b", "a"), ("b", "c")]


def test_every_module_is_in_a_box_and_every_box_has_modules() -> None:
    graph = imports()

    boxes = placed(graph, pure_modules(PROJECT))

    assert boxes.keys() == graph.keys()
    assert set(boxes.values()) == BOXES.keys()
    assert boxes["fairlead_operator.core.resolve"] == "core"
    assert boxes["fairlead_runtime.config"] == "contract"
    assert boxes["fairlead_runtime.guard"] == "front end"
    assert boxes["fairlead_runtime.supervisor"] == "supervisor"


def test_the_layers_of_the_import_contracts_show() -> None:
    graph = imports()

    drawn = needed(between(graph, placed(graph, pure_modules(PROJECT))))

    assert {("controller", "core"), ("core", "api"), ("api", "contract"), ("contract", "memory")} <= set(drawn)
    assert not {start for start, _end in drawn} & {"memory"}


def test_the_picture_has_each_box_and_each_arrow_once() -> None:
    root = ET.fromstring(draw([("core", "api"), ("local", "demo"), ("demo", "local")]))

    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    lines = list(root.iter("{http://www.w3.org/2000/svg}line"))
    assert {box.title for box in BOXES.values()} <= set(texts)
    assert ["marker-start" in line.attrib for line in lines] == [False, True]
