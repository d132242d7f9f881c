"""The systems below the product's images, where no image registry can be asked: Debian, and Debian with a CPU engine.

They stand in for the Dockerfiles' default bases; everything above them is built from the real Dockerfiles.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fairlead_cli.images.store import Store
from fairlead_cli.local import environments
from fairlead_cli.local.errors import BuildFailed, MachineUnfit

#: python3-venv: the operator's Dockerfile makes an environment with it.
PYTHON_PACKAGES = ("ca-certificates", "python3", "python3-venv")
#: torch.compile calls a C++ compiler and reads Python.h; vLLM's extensions link libnuma, torch links libgomp.
ENGINE_PACKAGES = ("ca-certificates", "python3", "python3-dev", "g++", "libgomp1", "libnuma1")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Nobody reads these in a container.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
#: Parts of the CUDA build of torch that no library links: they are opened by name, on a machine with a GPU. What is
#: linked must stay, or torch cannot be imported. Together about 0.75 GB.
NEVER_OPENED = (
    "nvidia/cudnn/lib/libcudnn_*.so*",
    "nvidia/cu13/lib/libnvrtc*.alt.so*",
    "nvidia/cu13/lib/libcusolverMg.so*",
    "nvidia/cu13/lib/libnvperf_*.so*",
    "nvidia/nvshmem/lib/*.bc",
    "nvidia/nvshmem/lib/*.a",
)
#: Locked, because torch names it, but of no use without a GPU: serving works without it, compiled and eager. 0.7 GB.
NOT_INSTALLED = ("triton",)
#: Count up when the steps of `engine` change in a way that the values above do not show.
REVISION = 1
OLDEST_PYTHON = (3, 11)
#: Where a file of bytecode says how it is to be checked, in four bytes, and what says that it is not.
_PYC_FLAGS, _UNCHECKED = 4, 1
#: vLLM itself chooses the kernels for this processor's instructions (AVX2, AVX-512 or BF16), and only warns when they cannot be
#: loaded; others than the chosen ones end the process with an illegal instruction.
KERNELS_LOAD = "import torch, vllm._custom_ops; torch.ops._C.rms_norm; print('imported')"


def system(store: Store, packages: Sequence[str], result: str) -> None:
    """A minimal Debian or Ubuntu, of the release and from the mirrors that this machine uses."""
    suite, sources = apt_sources(store)
    with store.root_of("scratch", result, ["--env", PATH, "--env", "LANG=C.UTF-8"]) as (_, root):
        file = store.folder / "sources.list"
        file.write_text("".join(f"{line}\n" for line in sources), encoding="utf-8")
        store.run(
            [
                *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"),
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
                *("--skip=check/empty", suite, str(root), str(file)),
            ]
        )
        # Where this machine gets its packages from is nobody's business in an image.
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        shutil.rmtree(root / "etc/apt/sources.list.d", ignore_errors=True)
        settle_bytecode(root)
        python_version(root)


def settle_bytecode(root: Path) -> None:
    """Have bytecode hold whatever its source's time is and however slow its source is to read: pods cannot write another.

    https://peps.python.org/pep-0552/
    """
    for file in (root / "usr/lib").rglob("*.pyc"):
        if file.is_symlink():
            continue  # it may lead out of the root
        with file.open("r+b") as bytecode:
            bytecode.seek(_PYC_FLAGS)
            bytecode.write(_UNCHECKED.to_bytes(4, "little"))


def apt_sources(store: Store) -> tuple[str, list[str]]:
    """The release of this machine, and the sources of its distribution as lines of a sources.list.

    Third parties' sources are left out. Raises MachineUnfit when there are none of the distribution's own.
    """
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    suite, origin = release.get("VERSION_CODENAME", "").strip('"'), release.get("ID", "").strip('"').capitalize()
    line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    wanted = ["apt-get", "indextargets", "--format", line, "Created-By: Packages", f"Origin: {origin}"]
    sources = sorted(set(store.run(wanted).splitlines()))
    if not any(f" {suite} " in source for source in sources):
        raise MachineUnfit(f"apt knows no source of {origin} {suite!r}: run apt-get update and look at /etc/apt")
    return suite, sources


def python_version(root: Path) -> str:
    """The version of a system's python3, such as 3.11. Raises MachineUnfit when it is too old."""
    link = root / "usr/bin/python3"
    version = link.readlink().name.removeprefix("python")
    if tuple(int(part) for part in version.split(".")) < OLDEST_PYTHON:
        raise MachineUnfit(
            f"this release's python3 is {version}; the images need 3.11 (Debian 12, Ubuntu 24.04) or newer"
        )
    return version


def engine(store: Store, base: str, lock: Path, result: str) -> None:
    """vLLM for CPUs on a system, from the lock file, with bytecode: pods' root file systems are read-only."""
    with store.root_of(base, result) as (container, root):
        version = python_version(root)
        target = f"usr/local/lib/python{version}/dist-packages"
        excluded = store.folder / "not-installed.txt"
        excluded.write_text("\n".join(NOT_INSTALLED), encoding="utf-8")
        store.run(
            [
                *(environments.uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
                *("--link-mode", "copy", "--only-binary", ":all:"),
                *("--python-version", version, "--target", str(root / target)),
                *("--requirements", str(lock), "--excludes", str(excluded)),
            ]
        )
        for pattern in NEVER_OPENED:
            for file in (root / target).glob(pattern):
                file.unlink()
        # One file in torch's own tests is written for a newer Python.
        compile_all = ["python3", "-m", "compileall", "-q", "-j2", "--invalidation-mode", "unchecked-hash"]
        store.buildah("run", container, "--", *compile_all, "-x", "/torch/testing/", f"/{target}")
        said = store.buildah("run", container, "--", "python3", "-P", "-c", KERNELS_LOAD)
        if "imported" not in said:
            raise BuildFailed(f"the engine cannot be imported: {said}")
