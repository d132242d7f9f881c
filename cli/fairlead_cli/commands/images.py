"""`fairlead images`."""

from pathlib import Path

import click

from fairlead_cli.images import building, loading
from fairlead_cli.images.layout import Image
from fairlead_cli.images.recipes import VERSION
from fairlead_cli.local.cluster import running


@click.group()
def images() -> None:
    """Build the product's images here, without Docker or a registry, and load them into the local cluster."""


@images.command()
@click.argument("names", nargs=-1, type=click.Choice(building.ALL))
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A model's folder to pack instead of the demo's.",
)
@click.option("--tag", help=f"The packed model's name, such as localhost/fairlead/my-model:{VERSION}.")
def build(names: tuple[str, ...], source: Path | None, tag: str | None) -> None:
    """Build operator, runtime and model, or those named; what did not change is not built again."""
    if source is None and tag is None:
        show(building.build(*names, progress=click.echo))
    elif names == ("model",) and source is not None and tag is not None:
        show({"model": building.pack(source, tag, progress=click.echo)})
    else:
        raise click.UsageError("--from FOLDER and --tag NAME go together, with `build model`")


@images.command()
@click.argument("names", nargs=-1, metavar=f"[{'|'.join(building.ALL)}|IMAGE]...")
def load(names: tuple[str, ...]) -> None:
    """Build what changed and bring it into the running local cluster.

    An IMAGE is one that `fairlead images list` names, such as a packed model: it is loaded as it is.
    """
    packed = {name: found(name) for name in names if name not in building.ALL}
    wanted = [name for name in names if name in building.ALL]
    built = building.build(*wanted, progress=click.echo) if wanted or not packed else {}
    loading.load(running(), built | packed, progress=click.echo)
    show(built)
    for image in packed.values():
        click.echo(f"{image.ref}  {image.digest}")


@images.command("list")
def list_() -> None:
    """The images that were built, ready to be loaded."""
    for image in building.layout().images():
        click.echo(f"{image.ref}  {image.digest}")


def found(ref: str) -> Image:
    """The image that was built or packed under this name. Raises UsageError where there is none."""
    if image := building.layout().find(ref):
        return image
    there = ", ".join(image.ref for image in building.layout().images()) or "none yet"
    raise click.UsageError(
        f"{ref} is none of {', '.join(building.ALL)}, and no image of that name was built here; there are: {there}"
    )


def show(built: dict[str, Image]) -> None:
    """One line for each."""
    for name, image in built.items():
        click.echo(f"{name:10} {image.ref}  {image.digest}")
