"""What can go wrong on this machine, told apart by what happens next."""

from typing import ClassVar


class LocalError(Exception):
    """Any of the below; its text is written for the person at the terminal."""

    #: What `fairlead` then exits with.
    exit_code: ClassVar[int] = 1


class MachineUnfit(LocalError):  # noqa: N818  a statement about the machine, not about the program
    """The user must change something on this machine; the text lists everything at once."""


class BuildFailed(LocalError):  # noqa: N818
    """A program could not be built; the text ends with the compiler's last words."""


class StartFailed(LocalError):  # noqa: N818
    """A component did not come up; the text ends with the last lines of its log. Another `up` starts clean."""


class StopFailed(LocalError):  # noqa: N818
    """Something of ours could not be taken away; the text says what. Another `down` goes on where this one stopped."""
