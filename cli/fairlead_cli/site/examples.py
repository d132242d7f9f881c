"""docs/examples.md: every file of examples/, as it stands. `make generate`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER = Path("examples")
PAGE = Path("docs/examples.md")
HEAD = """\
# Examples

<!-- Made by `make generate` from examples/. -->

Each is a whole service to start from: `kubectl apply -f examples/NAME.yaml` in a clone of the repository, or copied from here. All of them
are applied to a real API server and rendered by the operator in its tests.
"""
#: Heading -> names of files, in the order of the page.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "First models": ("gpu-mistral", "cpu", "demo"),
    "Where the weights are": ("private-hf-model", "pvc-model", "oci-model"),
    "Memory and speed": (
        "quantized-awq",
        "throughput",
        "low-latency",
        "speculative",
        "ngram",
        "two-gpus",
        "tool-calls",
    ),
    "How many, and when": ("autoscaling", "scale-to-zero", "no-spare-gpu", "queue"),
    "Who may use it": ("generated-key", "api-key"),
}


def page(folder: Path) -> str:
    """The whole page. Raises FileNotFoundError for a file that GROUPS has and the folder has not."""
    sections = [HEAD]
    for heading, names in GROUPS.items():
        sections.append(f"## {heading}\n")
        sections += [
            f"### {name}\n\n```yaml\n{(folder / f'{name}.yaml').read_text(encoding='utf-8')}```\n" for name in names
        ]
    return "\n".join(sections)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(FOLDER), encoding="utf-8")
