"""A group whose commands are imported when they are run: `fairlead why` need not wait for what `fairlead bench` is made of."""

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`commands_of`: the command's name -> the module of fairlead_cli.commands that has it under the same name."""

    def __init__(self, *args: Any, commands_of: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = dict(commands_of)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Without importing any."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        # Imports make objects that stay: looking through them for garbage, many times over, is a tenth of the start, and once
        # more at the end, unless they are frozen.
        gc.disable()
        try:
            command = getattr(import_module(f"fairlead_cli.commands.{self._modules[cmd_name]}"), cmd_name)
        finally:
            gc.freeze()
            gc.enable()
        assert isinstance(command, click.Command)
        return command
