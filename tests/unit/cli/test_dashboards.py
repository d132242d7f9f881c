"""The dashboards: Grafana's own types read them and lose nothing, and no two panels lie on top of each other."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from fairlead_cli.dashboards import DASHBOARDS
from fairlead_cli.dashboards.grafana import text
from fairlead_cli.dashboards.panels import Dashboard, Shape, Unit
from fairlead_cli.dashboards.service import SERVICE
from fairlead_runtime.guard_routes import HEALTH

FOLDER = Path(__file__).parents[3] / "charts" / "fairlead" / "dashboards"
each_dashboard = pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
#: Grafana's own, beside those that a dashboard lets its reader choose.
BUILT_IN = {"__rate_interval", "__all", "datasource"}


def written(board: Dashboard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text(board))
    return found


@each_dashboard
def test_grafanas_types_read_it_and_lose_nothing(board: Dashboard) -> None:
    """An unknown field or a wrong type would not come back."""
    content = written(board)

    read = model.Dashboard.from_json(content)

    assert json.loads(json.dumps(read, cls=JSONEncoder)) == content


@each_dashboard
def test_the_chart_has_it(board: Dashboard) -> None:
    assert (FOLDER / f"{board.uid}.json").read_text(encoding="utf-8") == text(board)


@each_dashboard
def test_panels_lie_side_by_side(board: Dashboard) -> None:
    places = [panel["gridPos"] for panel in written(board)["panels"]]

    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@each_dashboard
def test_panels_side_by_side_are_equally_high(board: Dashboard) -> None:
    """Else there is a hole below the lower one."""
    heights: dict[int, set[int]] = {}
    for panel in written(board)["panels"]:
        heights.setdefault(panel["gridPos"]["y"], set()).add(panel["gridPos"]["h"])

    assert all(len(found) == 1 for found in heights.values()), heights


@each_dashboard
def test_a_table_has_what_tells_its_rows_apart_and_then_its_values_by_name(board: Dashboard) -> None:
    for panel in written(board)["panels"]:
        if panel["type"] == "table":
            (shown,) = [each["options"] for each in panel["transformations"]]
            *labels, last = sorted(shown["indexByName"], key=shown["indexByName"].get)
            assert f" by ({', '.join(labels)}) " in panel["targets"][0]["expr"]
            assert (last, shown["excludeByName"]) == ("Value", {"Time": True})
            assert re.fullmatch(r"\w+", shown["renameByName"]["Value"]), panel["title"]


def test_conditions_in_a_table_are_words() -> None:
    (panel,) = [panel for panel in written(SERVICE)["panels"] if panel["title"] == "Reasons"]
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]

    assert {value: shown["text"] for value, shown in mapping["options"].items()} == {
        "1": "True",
        "0": "False",
        "-1": "Unknown",
    }


def test_what_is_bad_news_when_true_is_not_green() -> None:
    (panel,) = [panel for panel in written(SERVICE)["panels"] if panel["type"] == "state-timeline"]
    colors = {
        override["matcher"]["options"]: mapping["options"]["1"]["color"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        for mapping in each["value"]
    }

    assert colors == {"Stalled": "red", "Reconciling": "blue"}


@each_dashboard
def test_whole_things_have_no_decimals(board: Dashboard) -> None:
    """An axis that says 1.5 replicas is read twice."""
    decimals = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("decimals")
        for panel in written(board)["panels"]
        if panel["type"] != "row"
    }

    for panel in board.panels:
        whole = panel.unit is Unit.COUNT
        assert decimals[panel.title] == (0 if whole else None), panel.title


@each_dashboard
def test_panels_are_told_apart(board: Dashboard) -> None:
    panels = written(board)["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)


@each_dashboard
def test_queries_use_what_the_reader_chooses_and_nothing_else(board: Dashboard) -> None:
    used = {name for panel in board.panels for query in panel.queries for name in re.findall(r"\$(\w+)", query.expr)}
    chosen = {choice.name for choice in board.choices}

    assert chosen <= used
    assert used <= chosen | BUILT_IN


@each_dashboard
def test_looks_at_health_are_no_requests(board: Dashboard) -> None:
    """A proxy's, a few each second, are answered at once and never fail."""
    counted = re.compile(r"fairlead_request(?:s_total|_duration_seconds_bucket)\{([^}]*)\}")
    selectors = [found for panel in board.panels for query in panel.queries for found in counted.findall(query.expr)]

    assert [selector for selector in selectors if HEALTH[1] not in selector] == []


@each_dashboard
def test_several_choices_are_matched_as_a_pattern(board: Dashboard) -> None:
    """`=` finds nothing when two are chosen."""
    for choice in board.choices:
        if choice.many:
            for panel in board.panels:
                for query in panel.queries:
                    assert f'="${choice.name}"' not in query.expr


@each_dashboard
def test_a_panel_of_now_asks_for_now(board: Dashboard) -> None:
    shapes = {Shape.TABLE, Shape.REASONS, Shape.BARS, Shape.NUMBER}
    now = {panel.title for panel in board.panels if panel.shape in shapes}
    instant = {
        panel["title"] for panel in written(board)["panels"] if any(t.get("instant") for t in panel.get("targets", ()))
    }

    assert instant == now
