"""Files that a command will write, refused before it has worked for them."""

import os
from pathlib import Path

import click


class FileToWrite(click.ParamType[Path]):
    """A path in a folder that is there and may be written into; `suffix` is how its name ends, where that says what it becomes."""

    name = "file"

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what could not be written in the end."""
        path = Path(str(value))
        if self.suffix and path.suffix != self.suffix:
            self.fail(
                f"{path} would be an {self.suffix[1:].upper()}: give it a name that ends with {self.suffix}", param, ctx
            )
        if path.is_dir():
            self.fail(f"{path} is a folder: name a file", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{path.parent} is no folder: make it first", param, ctx)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            self.fail(f"{path} may not be written: name another file", param, ctx)
        return path
