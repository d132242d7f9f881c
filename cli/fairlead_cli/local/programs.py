"""Which programs a local cluster consists of, in which versions, and how each is built.

A table and nothing else. Versions of Go modules, and checksums of every source file, are pinned by the go.mod and
go.sum files under modules/; the versions here only name them.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"

KUBERNETES = "1.36.3"
ETCD = "3.6.8"
CONTAINERD = "2.4.2"
RUNC = "1.4.3"
CNI = "1.9.1"
COREDNS = "1.14.7"
PAUSE = "1"
HELM = "4.3.1"
KWOK = "0.7.0"
NETWORK_POLICIES = "0.8.0"


@dataclass(frozen=True)
class Program:
    """One executable and the Go package that it is built from."""

    name: str
    modules: str
    """The folder under modules/ whose go.mod and go.sum pin the sources."""
    package: str
    version: str
    fits: str = ""
    """A copy on PATH is used if the version it prints matches this regular expression; empty: never look there."""
    ask: tuple[str, ...] = ("--version",)
    """Arguments that make the program print its version."""
    define: tuple[str, ...] = ()
    """NAME=VALUE for the linker: string variables that carry the version."""
    tags: tuple[str, ...] = ()
    cgo: bool = False
    """Needs a C compiler and the libraries that `machine` checks for."""

    @property
    def folder(self) -> Path:
        """Where `go build` is run."""
        return MODULES / self.modules

    @property
    def arguments(self) -> list[str]:
        """What follows `go build`, less the output. No paths of this machine and no symbol tables end up inside."""
        linker = " ".join(["-s", "-w", *(f"-X {item}" for item in self.define)])
        tags = [f"-tags={','.join(self.tags)}"] if self.tags else []
        return ["-trimpath", f"-ldflags={linker}", *tags, self.package]

    @property
    def fingerprint(self) -> str:
        """Changes whenever a new build could give another program: sources, flags or our own code."""
        digest = hashlib.sha256(json.dumps([self.arguments, self.cgo]).encode())
        for path in sorted(self.folder.iterdir()):
            digest.update(path.read_bytes())
        return f"{self.version} {digest.hexdigest()[:16]}"

    def accepts(self, printed: str) -> bool:
        """Whether a program that prints this when asked for its version may stand in for ours."""
        return bool(self.fits) and re.search(self.fits, printed) is not None


def _kubernetes(name: str, *, ask: tuple[str, ...] = ("--version",)) -> Program:
    major, minor, _ = KUBERNETES.split(".")
    base = "k8s.io/component-base/version"
    return Program(
        name,
        "kubernetes",
        f"k8s.io/kubernetes/cmd/{name}",
        KUBERNETES,
        fits=rf"\bv{major}\.{minor}\.\d+\b",
        ask=ask,
        define=(
            f"{base}.gitVersion=v{KUBERNETES}",
            f"{base}.gitMajor={major}",
            f"{base}.gitMinor={minor}",
            f"k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES}",
        ),
    )


def _containerd(name: str) -> Program:
    package = "github.com/containerd/containerd/v2"
    return Program(
        name,
        "containerd",
        f"{package}/cmd/{name}",
        CONTAINERD,
        fits=r"\bv?2\.[4-9]\.\d+\b",
        define=(f"{package}/version.Version=v{CONTAINERD}",),
        # Only overlayfs is used; these would need headers of other file systems' libraries.
        tags=("no_btrfs", "no_devmapper", "no_zfs"),
    )


def _cni(name: str) -> Program:
    # Distributions keep these outside PATH and in old versions; they are small.
    package = f"github.com/containernetworking/plugins/plugins/{name}"
    return Program(Path(name).name, "cni", package, CNI)


#: In the order in which they are built: what tests wait for comes first.
PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", ETCD, fits=r"etcd Version: 3\.6\.\d+"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kubectl", ask=("version", "--client")),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        _containerd("containerd"),
        _containerd("containerd-shim-runc-v2"),
        _containerd("ctr"),
        Program(
            "runc",
            "runc",
            "github.com/opencontainers/runc",
            RUNC,
            fits=r"runc version 1\.[4-9]\.\d+",
            define=(f"main.version={RUNC}",),
            tags=("seccomp",),
            cgo=True,
        ),
        _cni("main/ptp"),
        _cni("ipam/host-local"),
        Program("pause", "pause", "fairlead.dev/local/pause", PAUSE),
        Program("coredns", "coredns", "fairlead.dev/local/coredns", COREDNS),
        Program("helm", "helm", "helm.sh/helm/v4/cmd/helm", HELM, fits=r"\bv4\.\d+\.\d+\b", ask=("version", "--short")),
        Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", KWOK, fits=r"\bv0\.7\.\d+\b"),
        Program(
            "kube-network-policies",
            "kube-network-policies",
            "fairlead.dev/local/kube-network-policies",
            NETWORK_POLICIES,
        ),
    )
}
