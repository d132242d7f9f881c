"""Fails when the generated files differ from what is committed. Run after `make generate`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = (
    "crds",
    "charts/fairlead/files/crds",
    "charts/fairlead/dashboards",
    "charts/fairlead/files/alerts.yaml",
    "docs/failures.md",
    "docs/conditions.md",
    "docs/profiles.md",
    "docs/benchmarks/README.md",
    "docs/benchmarks/operator-scale.md",
    "docs/reference.md",
    "docs/examples.md",
    "docs/runbook.md",
    "docs/tuning.md",
    "docs/observability.md",
    "docs/chart.md",
    "docs/cli.md",
    "docs/img/architecture.svg",
    "docs/benchmarks/proof.md",
)


def main() -> None:
    """Compare the tree with HEAD, new files included."""
    seen = subprocess.run(
        ["git", "status", "--porcelain", "--", *GENERATED], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    if seen:
        sys.exit(f"Generated files differ from the commit. Run `make generate` and commit:\n{seen}")
    print(f"{', '.join(GENERATED)}: as generated")


if __name__ == "__main__":
    main()
