"""How long work says where it stands: one line of text at a time, and the caller decides what a line looks like."""

from collections.abc import Callable

#: Called with one line, without a newline, at every step that a person would wait for.
Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """The progress of a caller that has nobody to tell."""
