"""How long `fairlead plan` takes on a model's folder, the start of the process included: the median of many runs.

.venv/bin/python benchmarks/plan_seconds.py [RUNS]
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "model" / "weights"
SERVICE = """
apiVersion: fairlead.dev/v1alpha1
kind: InferenceService
metadata: {name: measured}
spec: {model: {uri: "hf://org/model"}}
"""
#: Seconds that a run may take.
LIMIT = 0.5


def run(file: Path) -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    program = str(Path(sys.executable).with_name("fairlead"))
    command = [program, "plan", "-f", str(file), "--model-folder", str(FOLDER), "--gpu", "H200"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main(runs: int = 20) -> int:
    """Print the figures; 1 when the median is over the limit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "service.yaml"
        file.write_text(SERVICE, encoding="utf-8")
        run(file)
        seconds = sorted(run(file) for _ in range(runs))
    median = statistics.median(seconds)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (used.ru_utime + used.ru_stime) / (runs + 1)
    print(f"{processor:.3f} s of a processor in each run")
    print(
        f"fairlead plan: median {median:.3f} s of {runs} runs, {seconds[0]:.3f} to {seconds[-1]:.3f} s; limit {LIMIT} s"
    )
    return int(median > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
