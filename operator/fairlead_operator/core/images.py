"""Which images services may run: the administrator's list of registries and repositories."""

from collections.abc import Sequence
from typing import Final

from fairlead_operator.core.rejection import Rejection

#: Where container runtimes look for a name without a registry.
_DEFAULT_REGISTRY: Final = "docker.io"
_DEFAULT_FOLDER: Final = "library"


def judge_images(asked: Sequence[tuple[str, str]], allowed: Sequence[str]) -> Rejection | None:
    """Why one of the images cannot be used, or None. `asked` is (field of the spec, image); nothing allowed means all are.

    An entry of `allowed` is a registry (`registry.example.com:5000`), which allows all of it, or a registry with a path
    (`registry.example.com/team`), which allows that repository and those below it.
    """
    if not allowed:
        return None
    for field, image in asked:
        if not any(_allows(entry, image) for entry in allowed):
            return Rejection(
                "DeniedArgument",
                f"image {image} in {field.removeprefix('spec.')} is refused: the administrator allows images of {', '.join(allowed)} only;"
                " use one of these, or have FAIRLEAD_ALLOWED_IMAGES of the operator extended",
                field,
            )
    return None


def _allows(entry: str, image: str) -> bool:
    registry, repository = _parts(image)
    # An empty or dotted part is no image; nobody shall climb out of an allowed folder with it.
    if any(part.strip(".") == "" for part in repository.split("/")):
        return False
    allowed_registry, _, folder = entry.partition("/")
    return registry == allowed_registry and (not folder or f"{repository}/".startswith(f"{folder}/"))


def _parts(image: str) -> tuple[str, str]:
    """Registry and repository, the tag and the digest left out; short names as container runtimes complete them."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first):
        registry, rest = _DEFAULT_REGISTRY, name if slash else f"{_DEFAULT_FOLDER}/{name}"
    else:
        registry = first
    folders, slash, last = rest.rpartition("/")
    return registry, f"{folders}{slash}{last.partition(':')[0]}"
