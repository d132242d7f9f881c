"""A plan as a picture: what one GPU holds, and how many requests run for each length of the context. SVG, like the benchmark's."""

from collections.abc import Sequence
from dataclasses import replace

from fairlead_cli.bench.plot import BLUE, FAINT, HEIGHT, INK, LEFT, ORANGE, RIGHT, WIDTH, Line, Panel, drawn, text
from fairlead_cli.plan.report import Report
from fairlead_cli.plan.ways import Replan
from fairlead_runtime.memory import Plan, gib

GREEN, RED = "#3b8f5a", "#b3261e"
#: Contexts that are drawn: powers of two from here to the model's own limit.
_SHORTEST = 1024
_BAR = 34


def svg(report: Report, replan: Replan, longest: int) -> str:
    """longest: tokens that the model was made for."""
    height = HEIGHT + 28
    width = 2 * WIDTH + 24  # the last length's number is wider than its half of the margin
    title = f"{report.service} on {report.gpus} x {report.gpu or 'GPUs'}: {report.word}"
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>",
            f"<rect width='{width}' height='{height}' fill='white'/>",
            text(LEFT, 22, title, size=14, anchor="start", weight="600"),
            f"<g transform='translate(0,28)'>\n{_memory(report.plan)}\n</g>",
            f"<g transform='translate({WIDTH},28)'>\n{_contexts(report, replan, longest)}\n</g>",
            "</svg>\n",
        ]
    )


def _parts(plan: Plan) -> list[tuple[str, int, str]]:
    """(name, bytes, colour) of one GPU; what is not known is left out."""
    overhead = (plan.activations.size if plan.activations else 0) + (plan.graphs.size if plan.graphs else 0)
    cache = max(0, plan.kv_cache.size) if plan.kv_cache else 0
    weights = plan.weights.size if plan.weights else 0
    rows = [("weights", weights, BLUE), ("overhead", overhead, ORANGE), ("KV cache", cache, GREEN)]
    if plan.gpu:
        rows.append(("free", max(0, plan.gpu - weights - overhead - cache), FAINT))
    return [row for row in rows if row[1] > 0]


def _memory(plan: Plan) -> str:
    """One bar; where the parts are more than the GPU, a line shows where it ends."""
    parts = _parts(plan)
    whole = max(sum(size for _, size, _ in parts), plan.gpu or 0, 1)
    room = WIDTH - LEFT - RIGHT
    drawing = [text(LEFT, 26, "memory of each GPU", size=12, anchor="start")]
    at = float(LEFT)
    for row, (name, size, colour) in enumerate(parts):
        wide = room * size / whole
        drawing.append(f"<rect x='{at:.1f}' y='52' width='{wide:.1f}' height='{_BAR}' fill='{colour}'/>")
        below = 52 + _BAR + 34 + 22 * row
        drawing.append(
            f"<rect x='{LEFT}' y='{below - 10}' width='12' height='12' fill='{colour}' stroke='{INK}' stroke-width='0.5'/>"
        )
        drawing.append(text(LEFT + 20, below, name, anchor="start"))
        drawing.append(text(WIDTH - RIGHT, below, gib(size), anchor="end"))
        at += wide
    if plan.gpu:
        end = LEFT + room * plan.gpu / whole
        drawing.append(
            f"<line x1='{end:.1f}' x2='{end:.1f}' y1='46' y2='{58 + _BAR}' stroke='{RED}' stroke-width='2'/>"
        )
        drawing.append(text(end, 42, gib(plan.gpu), anchor="end", color=RED))
    return "\n".join(drawing)


def _contexts(report: Report, replan: Replan, longest: int) -> str:
    points = []
    for length in lengths(longest):
        plan = replan(replace(report.engine, max_model_len=length))
        points.append((length, plan.max_concurrency if plan is not None else None))
    panel = Panel("requests at the same time", [Line("", BLUE, points)], "tokens of context of each request")
    return drawn(panel)


def lengths(longest: int) -> Sequence[int]:
    """1,024, 2,048 and so on, the last one the model's own limit."""
    found = []
    length = _SHORTEST
    while length < longest:
        found.append(length)
        length *= 2
    return [*found, longest]
