"""A sweep as a picture: tok/s, time to first token and inter-token time against concurrency. SVG of our own, no dependency."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from fairlead_cli.bench.report import Report

#: Of one panel, in pixels: the whole, and what is left of it for the plot.
WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 44, 48
INK, FAINT = "#1f2933", "#d9dee4"
BLUE, ORANGE = "#2563a8", "#d9730d"
FONT = "font-family='system-ui, DejaVu Sans, sans-serif'"


@dataclass(frozen=True, slots=True)
class Line:
    """points: (concurrency, value); None leaves a gap."""

    name: str
    color: str
    points: Sequence[tuple[int, float | None]]


@dataclass(frozen=True, slots=True)
class Panel:
    """across: what the horizontal axis counts."""

    title: str
    lines: Sequence[Line]
    across: str = "concurrent requests"


def svg(report: Report) -> str:
    """The whole picture. A unary report has no times of first tokens, and its latency instead."""
    levels = report.levels
    panels = [
        Panel("tokens per second", [Line("", BLUE, [(level.concurrency, level.tok_s) for level in levels])]),
    ]
    if report.mode == "stream":
        panels += [
            _times("time to first token, ms", [(at.concurrency, at.ttft_p50_ms, at.ttft_p99_ms) for at in levels]),
            _times(
                "inter-token, ms", [(at.concurrency, at.inter_token_p50_ms, at.inter_token_p99_ms) for at in levels]
            ),
        ]
    else:
        panels.append(_times("latency, ms", [(at.concurrency, at.latency_p50_ms, at.latency_p99_ms) for at in levels]))
    width, height = WIDTH * len(panels), HEIGHT + 28
    title = f"{report.model or report.url}: {report.input_tokens} tokens in, {report.output_tokens} out, {report.mode}"
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>",
            f"<rect width='{width}' height='{height}' fill='white'/>",
            text(LEFT, 22, title, size=14, anchor="start", weight="600"),
            *(f"<g transform='translate({WIDTH * at},28)'>\n{drawn(panel)}\n</g>" for at, panel in enumerate(panels)),
            "</svg>\n",
        ]
    )


def _times(title: str, rows: Sequence[tuple[int, float | None, float | None]]) -> Panel:
    p50 = Line("p50", BLUE, [(concurrency, value) for concurrency, value, _ in rows])
    p99 = Line("p99", ORANGE, [(concurrency, value) for concurrency, _, value in rows])
    return Panel(title, [p50, p99])


def drawn(panel: Panel) -> str:
    """The panel, at the origin. Concurrency on a logarithmic axis, as levels are chosen; values from zero, so that heights compare."""
    levels = sorted({x for line in panel.lines for x, _ in line.points})
    ticks = axis(max((y for line in panel.lines for _, y in line.points if y is not None), default=0.0))
    low, high = math.log2(levels[0]), math.log2(levels[-1])

    def x(level: int) -> float:
        at = (math.log2(level) - low) / (high - low) if high > low else 0.5
        return round(LEFT + at * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / ticks[-1] * (HEIGHT - TOP - BOTTOM), 1)

    parts = [text(LEFT, 26, panel.title, size=12, anchor="start")]
    for tick in ticks:
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(tick)}' y2='{y(tick)}' stroke='{FAINT}'/>")
        parts.append(text(LEFT - 6, y(tick) + 4, f"{tick:,g}", anchor="end"))
    parts += [text(x(level), HEIGHT - BOTTOM + 16, str(level)) for level in _apart(levels, x)]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 34, panel.across))
    for line in panel.lines:
        known = [(x(level), y(value)) for level, value in line.points if value is not None]
        path = " ".join(f"{px},{py}" for px, py in known)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{line.color}' stroke-width='2'/>")
        parts += [f"<circle cx='{px}' cy='{py}' r='3' fill='{line.color}'/>" for px, py in known]
    named = [line for line in panel.lines if line.name]
    for place, line in enumerate(reversed(named)):
        at = WIDTH - RIGHT - 40 * place
        parts.append(f"<circle cx='{at - 26}' cy='22' r='3' fill='{line.color}'/>")
        parts.append(text(at, 26, line.name, anchor="end", color=line.color))
    return "\n".join(parts)


def axis(highest: float) -> list[float]:
    """Ticks from 0 to the first round number that is not below `highest`: at most six of them."""
    if highest <= 0:
        return [0.0, 1.0]
    scale = 10.0 ** math.floor(math.log10(highest))
    step = next(scale * part for part in (0.2, 0.25, 0.5, 1, 2, 5) if highest <= 5 * scale * part)
    return [round(step * count, 10) for count in range(math.ceil(round(highest / step, 9)) + 1)]


def _apart(levels: Sequence[int], x: Callable[[int], float]) -> list[int]:
    """Those whose numbers have room beside the one before."""
    shown: list[int] = []
    for level in levels:
        if not shown or x(level) - x(shown[-1]) >= 24:
            shown.append(level)
    return shown


def text(
    x: float, y: float, said: str, *, size: int = 11, anchor: str = "middle", weight: str = "400", color: str = INK
) -> str:
    """One piece of text; `anchor` is the side of it that is at x."""
    style = f"{FONT} font-size='{size}' font-weight='{weight}' fill='{color}' text-anchor='{anchor}'"
    return f"<text x='{x}' y='{y}' {style}>{escape(said)}</text>"
