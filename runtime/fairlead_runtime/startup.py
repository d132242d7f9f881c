"""The cold-start ledger: when each step of a start was over, and what it took. Standard library only.

Two sources: what the engine process reports over its pipe, and what vLLM's processes print, since only they know when weights
were loaded and graphs captured. A text that another version words otherwise leaves its step out; its seconds are then part of
the next one's.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal


class Step(StrEnum):
    """What was over, in order. The value is the key in /state."""

    #: Python runs in the engine's front end.
    STARTED = "started"
    #: The engine's packages are imported there, and the arguments parsed.
    IMPORTED = "imported"
    #: The engine's other processes run and have imported the same: the model is about to be loaded.
    SPAWNED = "spawned"
    #: Weights were downloaded. Absent when they were there.
    FETCHED = "fetched"
    #: Weights are in memory.
    LOADED = "loaded"
    #: Kernels are compiled. Absent in eager mode.
    COMPILED = "compiled"
    #: CUDA graphs are captured. Absent without them.
    CAPTURED = "captured"
    #: The engine is built, its own warm-up included.
    INITIALIZED = "initialized"
    #: The first token was decoded.
    DECODED = "decoded"
    #: The warm-up was answered: the next request finds nothing left to be set up.
    WARMED = "warmed"
    #: The serving port answers.
    READY = "ready"


#: Step -> the phase that it ends, as `fairlead_startup_phase_seconds` names it.
PHASES: Final[Mapping[Step, str]] = {
    Step.STARTED: "process_start",
    Step.IMPORTED: "imports",
    Step.SPAWNED: "engine_processes",
    Step.FETCHED: "fetch",
    Step.LOADED: "load",
    Step.COMPILED: "compile",
    Step.CAPTURED: "capture",
    Step.INITIALIZED: "engine_warmup",
    Step.DECODED: "first_decode",
    Step.WARMED: "warmup",
    Step.READY: "listen",
}
_ORDER: Final = tuple(Step)

#: vLLM 0.26 to 0.33; each rank prints them, and the last rank counts.
_LINES: Final = (
    (Step.SPAWNED, "Starting to load model "),
    (Step.FETCHED, "Time spent downloading weights for "),
    (Step.LOADED, "Loading weights took "),
    (Step.LOADED, "Model loading took "),
    # The CUDA engine, and what the CPU engine prints instead.
    (Step.COMPILED, "torch.compile took "),
    (Step.COMPILED, "torch.compile takes "),
    (Step.COMPILED, "Warming up done."),
    (Step.CAPTURED, "Graph capturing finished in "),
)
_ENGINE_LINE: Final = re.compile(r"^\([\w-]{1,40} pid=\d+\) (?:INFO|WARNING) ")
_FROM_CACHE: Final = re.compile(r"Directly load (?:AOT compilation from|the compiled graph)")
_COMPILED_ANEW: Final = re.compile(r"Compiling a graph for |saved AOT compiled function|Cache the graph of ")

#: The whole was there and could not be read; the compiler's own caches below it are used.
_FROM_CACHE_IN_PART: Final = re.compile(r"Compiling model again due to a load failure")

CompileCache = Literal["", "hit", "partial", "miss"]


class Ledger:
    """Seconds from the start of the container's first process. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._marks: dict[Step, float] = {}
        self._from_cache = False
        self._compiled_anew = False

    def reached(self, step: Step, seconds: float) -> None:
        """`step` is over. A step that is told again counts when it was told last, until a later one was reached."""
        later = _ORDER[_ORDER.index(step) + 1 :]
        if not any(mark in self._marks for mark in later):
            self._marks[step] = seconds

    def read(self, line: str, seconds: float) -> None:
        """One line of an engine process's output, as long as the start lasts."""
        if Step.INITIALIZED in self._marks or not _ENGINE_LINE.match(line):
            return
        in_part = bool(_FROM_CACHE_IN_PART.search(line))
        self._from_cache = self._from_cache or in_part or bool(_FROM_CACHE.search(line))
        self._compiled_anew = self._compiled_anew or in_part or bool(_COMPILED_ANEW.search(line))
        for step, text in _LINES:
            if text in line:
                self.reached(step, seconds)

    @property
    def steps(self) -> dict[str, float]:
        """Step -> seconds from the start to its end, in order."""
        return {step.value: round(self._marks[step], 3) for step in _ORDER if step in self._marks}

    @property
    def phases(self) -> dict[str, float]:
        """Phase -> its own seconds. Together they are the whole start."""
        found, before = {}, 0.0
        for step in _ORDER:
            if (at := self._marks.get(step)) is not None:
                found[PHASES[step]] = round(at - before, 3)
                before = at
        return found

    @property
    def compile_cache(self) -> CompileCache:
        """Whether compiled code came from the cache; "" where nothing was compiled."""
        if self._compiled_anew:
            return "partial" if self._from_cache else "miss"
        if self._from_cache:
            return "hit"
        return "miss" if Step.COMPILED in self._marks else ""

    def __str__(self) -> str:
        """One line for the log."""
        told = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.phases.items())
        cache = f"; compile cache: {self.compile_cache}" if self.compile_cache else ""
        return f"{sum(self.phases.values()):.1f} s: {told}{cache}"
