"""Programs of the local cluster: found in the cache, on PATH, or built once from pinned Go modules.

Every program is one step with its own stamp, so an interrupted run goes on where it stopped, and only what the caller
names is built. Two processes may ask at once: the second waits for the first and finds its work done.
"""

import os
import shutil
import subprocess
from pathlib import Path

from fairlead_cli.local import golang, paths
from fairlead_cli.local.errors import BuildFailed
from fairlead_cli.local.lock import held
from fairlead_cli.local.logs import last_lines
from fairlead_cli.local.programs import PROGRAMS, Program
from fairlead_cli.local.progress import Progress, silent, step

#: A program that does not print its version within this many seconds is not the one we look for.
ASK_TIMEOUT = 10.0


def ensure(*names: str, progress: Progress = silent) -> dict[str, Path]:
    """The paths of the named programs, after building those that are neither cached nor on PATH.

    Raises KeyError for a name that is not in `programs.PROGRAMS`, BuildFailed when the compiler does, MachineUnfit
    when there is neither Go nor a way to get it.
    """
    wanted = [program for name, program in PROGRAMS.items() if name in names]
    if unknown := set(names) - PROGRAMS.keys():
        raise KeyError(f"unknown programs: {', '.join(sorted(unknown))}")
    found = {program.name: path for program in wanted if (path := _find(program))}
    if len(found) == len(wanted):
        return found
    with held(folder() / ".lock", progress, waiting_for="another process that builds programs"):
        found |= {program.name: path for program in wanted if program.name not in found and (path := _cached(program))}
        missing = [program for program in wanted if program.name not in found]
        if missing:
            go = golang.ensure(progress)
            for number, program in enumerate(missing, start=1):
                found[program.name] = _build(go, program, f"{number} of {len(missing)}", progress)
    return found


def missing(*names: str) -> list[str]:
    """Those of the named programs that `ensure` would have to build."""
    return [name for name in names if _find(PROGRAMS[name]) is None]


def at_hand(name: str) -> Path | None:
    """The named program without building it: one that was built, of whatever sources, else one on PATH that fits.

    A running cluster is asked by it, also when the sources it was started from are another release's by now.
    """
    built = folder() / name
    return built if built.is_file() else _on_path(PROGRAMS[name])


def folder() -> Path:
    """Where built programs are kept."""
    return paths.home() / "bin"


def _find(program: Program) -> Path | None:
    return _cached(program) or _on_path(program)


def _cached(program: Program) -> Path | None:
    path, stamp = folder() / program.name, _stamp(program)
    fits = path.is_file() and stamp.is_file() and stamp.read_text() == program.fingerprint
    return path if fits else None


def _stamp(program: Program) -> Path:
    return folder() / f".{program.name}.stamp"


def _on_path(program: Program) -> Path | None:
    path = shutil.which(program.name) if program.fits else None
    if path is None or Path(path).parent == folder():
        return None
    try:
        answer = subprocess.run([path, *program.ask], capture_output=True, text=True, timeout=ASK_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None  # not a program that we could use, whatever it is
    return Path(path) if program.accepts(answer.stdout + answer.stderr) else None


def _build(go: Path, program: Program, position: str, progress: Progress) -> Path:
    target, unfinished = folder() / program.name, folder() / f".{program.name}.new"
    log = paths.home() / "logs" / f"build-{program.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    _stamp(program).unlink(missing_ok=True)
    with step(f"building {program.name} {program.version} ({position})", progress), log.open("w") as output:
        # Its own session: an interrupt at the terminal must find us, and we end the compiler and all that it started.
        process = subprocess.Popen(
            [*_low_priority(), str(go), "build", "-o", str(unfinished), *program.arguments],
            cwd=program.folder,
            env=golang.environment(go, cgo=program.cgo),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, 9)
            process.wait()
            raise
    if code != 0:
        raise BuildFailed(f"{program.name} {program.version} cannot be built (log: {log}):\n{last_lines(log)}")
    unfinished.replace(target)
    _stamp(program).write_text(program.fingerprint)
    return target


def _low_priority() -> list[str]:
    """Compiling takes minutes of all cores: whoever sits at the machine comes first."""
    nice = shutil.which("nice")
    return [nice, "-n", "10"] if nice else []
