"""Builds the images: each only if its inputs changed, one build at a time, and nothing left behind by a killed one."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fairlead_cli.images import bases, pipconfig, recipes
from fairlead_cli.images.export import Exporter
from fairlead_cli.images.layout import Image, Layout
from fairlead_cli.images.machine import IMAGES, check_disk
from fairlead_cli.images.store import Store
from fairlead_cli.local import machine, paths
from fairlead_cli.local.errors import MachineUnfit
from fairlead_cli.local.lock import held
from fairlead_cli.local.machine import Needs
from fairlead_cli.local.progress import Progress, silent, step

#: What `build` makes when nothing is named.
ALL = ("operator", "runtime", "model")
#: Files of a model: any uid reads them.
_READABLE = 0o444


def folder() -> Path:
    """Where the storage and the layout are."""
    return paths.home() / "images"


def layout() -> Layout:
    """The images that were built, ready to be loaded or copied to a registry with any OCI tool."""
    return Layout(folder() / "layout")


def prepare(progress: Progress, *others: Needs) -> None:
    """Return once images, and what else the caller is up to, can be made here. Raises MachineUnfit."""
    check_disk(folder())
    machine.prepare(*others, IMAGES, progress=progress)


def build(*names: str, progress: Progress = silent) -> dict[str, Image]:
    """Build the named images, all by default, and return them by name.

    The demo's model has a fixed tag, because a manifest in the repository names it; the others have the digest of
    their inputs in the tag, so that a pod never runs an older one. Raises MachineUnfit, BuildFailed, and KeyError for
    an unknown name.
    """
    wanted = names or ALL
    if unknown := set(wanted) - set(ALL):
        raise KeyError(f"unknown images: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    recipes.check_sources()
    prepare(progress)
    with held(folder() / "lock", progress, waiting_for="another build of images"):
        store = Store(folder())
        store.clean()
        try:
            built = {name: _build(name, store, progress) for name in wanted}
            _forget_old(store, progress)
            return built
        finally:
            store.release()


def pack(source: Path, ref: str, progress: Progress = silent) -> Image:
    """Make an image of a model's folder, to be mounted by `oci://`. Raises MachineUnfit, BuildFailed."""
    if not (source / "config.json").is_file():
        raise MachineUnfit(f"{source} is no model's folder: it has no config.json")
    prepare(progress)
    with held(folder() / "lock", progress, waiting_for="another build of images"):
        store = Store(folder())
        store.clean()
        try:
            return _pack(source, ref, store, progress)
        finally:
            store.release()


def runtime_on(base: str, make: Callable[[Store], None], name: str, progress: Progress = silent) -> Image:
    """The runtime's real image on another base than vLLM's: `make` commits that as `base`, the result is called `name`.

    Its tag is the digest of base and sources; images of the same name from earlier ones are deleted. Raises MachineUnfit,
    BuildFailed.
    """
    prepare(progress)
    ref = recipes.runtime_tag(name, base)
    with held(folder() / "lock", progress, waiting_for="another build of images"):
        if image := layout().find(ref):
            return image
        store = Store(folder())
        store.clean()
        try:
            _step(store, base, progress, partial(make, store))
            _step(store, ref, progress, partial(_product, store, "runtime", base, ref))
            image = layout().push(Exporter(store.storage, store.driver), ref, ref)
            _forget({base, ref}, store, progress)
            return image
        finally:
            store.release()


def _build(name: str, store: Store, progress: Progress) -> Image:
    if name == "model":
        return _pack(recipes.MODEL, f"{recipes.PREFIX}/model-demo:{recipes.VERSION}", store, progress)
    tags = recipes.tags()
    ref = getattr(tags, name)
    if image := layout().find(ref):
        return image
    if name == "operator":
        _step(store, tags.python, progress, partial(bases.system, store, bases.PYTHON_PACKAGES, tags.python))
        base = tags.python
    else:
        system = partial(bases.system, store, bases.ENGINE_PACKAGES, tags.engine_system)
        if not store.has(tags.engine):
            _step(store, tags.engine_system, progress, system)
        engine = partial(bases.engine, store, tags.engine_system, recipes.ENGINE_LOCK, tags.engine)
        _step(store, tags.engine, progress, engine)
        base = tags.engine
    _step(store, ref, progress, partial(_product, store, name, base, ref))
    with step(f"copying {ref} out", progress):
        return layout().push(Exporter(store.storage, store.driver), ref, ref)


def _product(store: Store, name: str, base: str, ref: str) -> None:
    """The real Dockerfile, with the local base as its argument; steps whose inputs did not change are not run again."""
    store.buildah(
        *("bud", "--quiet", "--layers", "--pull-never", "--timestamp", "0", "--build-arg", f"BASE={base}"),
        *pipconfig.mounts(store.folder),
        *("--file", str(recipes.ROOT / name / "Dockerfile"), "--tag", ref, str(recipes.ROOT)),
    )


def _pack(source: Path, ref: str, store: Store, progress: Progress) -> Image:
    with step(f"reading {source}", progress):
        content = recipes.tag("model", recipes.files_digest([source]))
    known = layout().find(content)
    if not known:
        with step(f"packing {source}", progress):
            with store.root_of("scratch", content) as (_, root):
                shutil.copytree(source, root, dirs_exist_ok=True)
                for file in root.rglob("*"):
                    file.chmod(0o755 if file.is_dir() else _READABLE)
            layout().push(Exporter(store.storage, store.driver), content, content)
    elif (named := layout().find(ref)) and named.digest == known.digest:
        return named
    return layout().push(Exporter(store.storage, store.driver), content, ref)


def _forget_old(store: Store, progress: Progress) -> None:
    """Drop what earlier sources made: a base alone has 5 GB. Packed models stay, and so do images in a cluster."""
    _forget(set(vars(recipes.tags()).values()), store, progress)


def _forget(current: set[str], store: Store, progress: Progress) -> None:
    """Drop what has the name of a current image and another tag."""
    made = {name.rpartition(":")[0] for name in current}

    def old(name: str) -> bool:
        return name.rpartition(":")[0] in made and name not in current

    for name in filter(old, store.names()):
        with step(f"deleting {name}, made from earlier sources", progress):
            store.buildah("rmi", "--force", name)
    layout().sweep({image.ref for image in layout().images() if not old(image.ref)})


def _step(store: Store, name: str, progress: Progress, make: Callable[[], None]) -> None:
    if not store.has(name):
        with step(f"building {name}", progress):
            make()
