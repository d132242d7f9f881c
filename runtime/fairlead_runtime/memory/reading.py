"""Reading a model's config.json: every value is checked, and what is wrong is told by its key.

The file is written by strangers and often by hand: keys are absent, null, or of another type. Nothing here guesses, and nothing
counts an absent size as zero.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

#: The largest size that a key may have: beyond it is a mistake, and a product of several would say nothing.
LARGEST = 2**31 - 1


class ConfigError(ValueError):
    """A value with which nothing can be computed. key: its path in the file. problem: what it is and what is wanted."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class Keys(NamedTuple):
    """One object of the file. path: where it stands, for messages. Null counts as absent, as it does for the engine."""

    values: Mapping[str, Any]
    path: str = "config.json"

    @classmethod
    def of(cls, document: object, path: str = "config.json") -> "Keys":
        """Raises ConfigError when the document is no object."""
        if not isinstance(document, Mapping):
            raise ConfigError(path, f"not an object but {_shown(document)}")
        return cls(document, path)

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def whole(self, *names: str, least: int = 1, most: int = LARGEST) -> int | None:
        """The first of `names` that is there, a whole number from `least` to `most`; None where none is."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            number = _whole(value)
            if number is None or not least <= number <= most:
                raise ConfigError(
                    self._key(name), f"{_shown(value)} where a whole number from {least} to {most:,} is wanted"
                )
            return number
        return None

    def needed(self, *names: str, least: int = 1, most: int = LARGEST) -> int:
        """As whole(), and an error where none of `names` is there."""
        found = self.whole(*names, least=least, most=most)
        if found is None:
            raise ConfigError(self._key(names[0]), "absent, and nothing can be computed without it")
        return found

    def number(self, name: str, *, least: float = 0.0, most: float = float(LARGEST)) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(self._key(name), f"{_shown(value)} where a number from {least} to {most} is wanted")
        return float(value)

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        value = self.values.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, bool):
            raise ConfigError(self._key(name), f"{_shown(value)} where true or false is wanted")
        return value

    def text(self, *names: str) -> str | None:
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise ConfigError(self._key(name), f"{_shown(value)} where a text is wanted")
            return value
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ConfigError(self._key(name), f"{_shown(value)} where a list of texts is wanted")
        return tuple(value)

    def wholes(self, name: str) -> tuple[int, ...] | None:
        value = self.values.get(name)
        if value is None:
            return None
        numbers = [_whole(item) for item in value] if isinstance(value, list | tuple) else [None]
        if any(number is None for number in numbers):
            raise ConfigError(self._key(name), f"{_shown(value)} where a list of whole numbers is wanted")
        return tuple(number for number in numbers if number is not None)

    def section(self, name: str) -> "Keys | None":
        value = self.values.get(name)
        return None if value is None else Keys.of(value, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.path}: {name}" if self.path == "config.json" else f"{self.path}.{name}"


def _whole(value: object) -> int | None:
    """A float without a fraction is a whole number: some tools write every number so."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
