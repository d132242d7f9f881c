"""docs/img/architecture.svg: the packages, and which imports which, as the code has it. `make generate`.

Where a box stands is said here; which modules are in it, and every arrow, come from the import graph. Arrows that follow from others
are left out. It needs grimp, which import-linter brings: a developer's environment.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp

PAGE = Path("docs/img/architecture.svg")
ROOTS = ("fairlead_operator", "fairlead_runtime", "fairlead_cli")
#: The contract of pyproject.toml that lists the pure modules.
PURE_CONTRACT = "What users write and what is decided from it is pure"
#: Modules -> modules that they import, or boxes -> boxes.
Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Box:
    """`packages` are its own, sub-packages that have no box included. x and width are in pixels, rows count from above."""

    title: str
    says: str
    x: int
    width: int
    row: int
    packages: tuple[str, ...] = ()


BOXES: Mapping[str, Box] = {
    "commands": Box("commands", "the fairlead command", 20, 440, 0, ("fairlead_cli.commands", "fairlead_cli")),
    "site": Box("site", "the documentation", 20, 165, 1, ("fairlead_cli.site",)),
    "demo": Box("demo", "try it", 195, 140, 1, ("fairlead_cli.demo",)),
    "plan": Box("plan", "will it fit", 345, 115, 1, ("fairlead_cli.plan",)),
    "bench": Box("bench", "how fast", 20, 80, 2, ("fairlead_cli.bench",)),
    "why": Box("why", "the cause", 195, 63, 2, ("fairlead_cli.why",)),
    "local": Box("local", "Kubernetes on one machine", 20, 440, 3, ("fairlead_cli.local",)),
    "images": Box("images", "built without Docker", 20, 440, 4, ("fairlead_cli.images",)),
    "main": Box("main, settings", "wires the pieces together", 500, 240, 0, ("fairlead_operator",)),
    "controller": Box(
        "controller", "the only code that waits or talks", 500, 240, 1, ("fairlead_operator.controller",)
    ),
    "core": Box("core", "decisions: pure functions", 500, 240, 2, ("fairlead_operator.core",)),
    "api": Box("api", "what users write", 500, 240, 3, ("fairlead_operator.api",)),
    "front end": Box("front end", "vLLM, routes, guard, drain", 780, 200, 1, ("fairlead_runtime",)),
    "supervisor": Box("supervisor", "PID 1: probes, record", 780, 200, 2),
    "contract": Box("contract", "configuration, arguments, diagnosis: pure", 500, 480, 4),
    "memory": Box("memory", "weights and KV cache", 500, 480, 5, ("fairlead_runtime.memory",)),
}
HEADINGS = ((20, "fairlead_cli"), (500, "fairlead_operator"), (780, "fairlead_runtime"))
TOP, HEIGHT, STEP, WIDTH = 44, 46, 96, 1000


def imports() -> Graph:
    """Every module of the three packages, with those of them that it imports."""
    graph = grimp.build_graph(*ROOTS)
    return {module: frozenset(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def pure_modules(project: Path) -> tuple[str, ...]:
    """As the import contract names them."""
    contracts = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"] == PURE_CONTRACT)
    return tuple(contract["source_modules"])


def placed(graph: Graph, pure: Iterable[str]) -> dict[str, str]:
    """Module -> the box that it is in."""
    # The runtime is one flat package: its boxes are what the pure modules need, what PID 1 needs beside that, and the rest.
    contract = _reached(graph, (module for module in pure if module.startswith("fairlead_runtime.")))
    supervisor = _reached(graph, ["fairlead_runtime.supervisor"])
    named = {package: name for name, box in BOXES.items() for package in box.packages}

    def box(module: str) -> str:
        package = module
        while package not in named:
            package = package.rpartition(".")[0]
        if package != "fairlead_runtime" or module == package:
            return "site" if module.endswith("_page") else named[package]
        return "contract" if module in contract else "supervisor" if module in supervisor else named[package]

    return {module: box(module) for module in graph}


def _reached(graph: Graph, modules: Iterable[str]) -> frozenset[str]:
    """The modules and all that they import, directly or not."""
    found: set[str] = set()
    ahead = list(modules)
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += graph.get(module, ())
    return frozenset(found)


def between(graph: Graph, boxes: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Box -> the other boxes that its modules import."""
    found: dict[str, set[str]] = {name: set() for name in BOXES}
    for module, imported in graph.items():
        found[boxes[module]] |= {boxes[other] for other in imported} - {boxes[module]}
    return {name: frozenset(others) for name, others in found.items()}


def needed(arrows: Graph) -> list[tuple[str, str]]:
    """The arrows that no longer way implies. Between boxes that import each other, directly or not, all are kept."""

    def implied(start: str, end: str) -> bool:
        if start in _reached(arrows, [end]):
            return False
        ways = (other for other in arrows[start] - {end} if start not in _reached(arrows, [other]))
        return any(end in _reached(arrows, [other]) for other in ways)

    return sorted((start, end) for start, ends in arrows.items() for end in ends if not implied(start, end))


def draw(arrows: Iterable[tuple[str, str]]) -> str:
    """The picture."""
    drawn = list(arrows)
    last = max(box.row for box in BOXES.values())
    height = TOP + last * STEP + HEIGHT + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" role="img">',
        "<title>Packages of fairlead and their imports</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path d="M0 0L8 4L0 8z" fill="#7986cb"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        *(
            f'<text x="{x}" y="26" font-size="15" font-weight="600" fill="#283593">{text}</text>'
            for x, text in HEADINGS
        ),
        *(
            _arrow(BOXES[start], BOXES[end], both=(end, start) in drawn)
            for start, end in drawn
            if (end, start) not in drawn or start < end
        ),
        *map(_box, BOXES.values()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _y(box: Box) -> int:
    return TOP + box.row * STEP


def _box(box: Box) -> str:
    middle, y = box.x + box.width / 2, _y(box)
    return (
        f'<rect x="{box.x}" y="{y}" width="{box.width}" height="{HEIGHT}" rx="6" fill="#e8eaf6" stroke="#3f51b5"/>'
        f'<text x="{middle:g}" y="{y + 19}" font-size="14" text-anchor="middle" fill="#1a237e">{box.title}</text>'
        f'<text x="{middle:g}" y="{y + 36}" font-size="11" text-anchor="middle" fill="#37474f">{box.says}</text>'
    )


def _arrow(start: Box, end: Box, *, both: bool) -> str:
    """From edge to edge; where the boxes stand above each other, straight down."""
    x1: float
    x2: float
    if start.row == end.row:
        y1 = y2 = _y(start) + HEIGHT // 2
        x1, x2 = (start.x + start.width, end.x) if start.x < end.x else (start.x, end.x + end.width)
    else:
        down = start.row < end.row
        y1, y2 = (_y(start) + HEIGHT, _y(end)) if down else (_y(start), _y(end) + HEIGHT)
        x1, x2 = _columns(start, end)
    tips = ' marker-start="url(#tip)"' if both else ""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#7986cb" stroke-width="1.5"{tips} marker-end="url(#tip)"/>'


def _columns(start: Box, end: Box) -> tuple[float, float]:
    left, right = max(start.x, end.x), min(start.x + start.width, end.x + end.width)
    if left < right:
        middle = (left + right) / 2
        return middle, middle
    return start.x + start.width / 2, end.x + end.width / 2


def picture(project: Path) -> str:
    """The whole file."""
    graph = imports()
    return draw(needed(between(graph, placed(graph, pure_modules(project)))))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture(Path("pyproject.toml")), encoding="utf-8")
