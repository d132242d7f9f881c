"""The picture of a sweep: well-formed, every level in it, nothing outside."""

import xml.etree.ElementTree as ET

import pytest

from fairlead_cli.bench.plot import HEIGHT, WIDTH, axis, svg
from fairlead_cli.bench.report import Report
from unit.cli.bench.test_report import level, report

SVG = "{http://www.w3.org/2000/svg}"
LEVELS = (1, 4, 16, 64, 128, 256)


def drawn(shown: Report) -> ET.Element:
    return ET.fromstring(svg(shown))


def sweep() -> Report:
    return report(*(level(concurrency=at, tok_s=200.0 * at**0.8, ttft_p99_ms=20.0 + at) for at in LEVELS))


def test_a_streams_sweep_has_three_panels_with_all_levels_in_each() -> None:
    panels = drawn(sweep()).findall(f"{SVG}g")

    assert len(panels) == 3
    for panel, lines in zip(panels, (1, 2, 2), strict=True):
        found = panel.findall(f"{SVG}polyline")
        assert [len(line.get("points", "").split()) for line in found] == [len(LEVELS)] * lines
        texts = {text.text for text in panel.iter(f"{SVG}text")}
        assert {str(at) for at in LEVELS} <= texts
        assert ({"p50", "p99"} <= texts) == (lines == 2)


def test_no_point_lies_outside_its_panel_and_higher_is_more() -> None:
    for panel in drawn(sweep()).findall(f"{SVG}g"):
        for line in panel.findall(f"{SVG}polyline"):
            points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
            assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)
    speed = drawn(sweep()).find(f"{SVG}g/{SVG}polyline")
    assert speed is not None
    heights = [float(point.split(",")[1]) for point in speed.get("points", "").split()]
    assert heights == sorted(heights, reverse=True)


def test_a_unary_sweep_shows_latency_instead_of_chunks() -> None:
    root = drawn(report(level(), mode="unary"))

    assert [panel.find(f"{SVG}text").text for panel in root.findall(f"{SVG}g")] == ["tokens per second", "latency, ms"]  # type: ignore[union-attr]


def test_a_level_without_a_success_leaves_a_gap() -> None:
    broken = level(concurrency=256, tok_s=0.0, ttft_p50_ms=None, ttft_p99_ms=None)
    panel = drawn(report(level(), broken)).findall(f"{SVG}g")[1]

    assert [len(line.get("points", "").split()) for line in panel.findall(f"{SVG}polyline")] == [1, 1]


def test_a_models_name_is_text_and_not_markup() -> None:
    named = report(level()).model_copy(update={"model": "<a>&'b"})

    assert any("<a>&'b" in (text.text or "") for text in drawn(named).iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        pytest.param(0.0, [0.0, 1.0], id="nothing"),
        pytest.param(0.97, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], id="below one"),
        pytest.param(10.0, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0], id="a round number is its own top"),
        pytest.param(21.0, [0.0, 5.0, 10.0, 15.0, 20.0, 25.0], id="tens"),
        pytest.param(17506.0, [0.0, 5000.0, 10000.0, 15000.0, 20000.0], id="thousands"),
    ],
)
def test_an_axis_has_few_round_ticks_up_to_the_highest_value(highest: float, expected: list[float]) -> None:
    assert axis(highest) == expected
