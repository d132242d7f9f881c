"""Log lines with fields: JSON for machines, text for people."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's fields beside time, level, logger and message."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """time level message key=value ..., and a traceback below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """As logging would, with the fields behind the message."""
        fields = " ".join(f"{name}={_word(value)}" for name, value in _fields(record).items())
        text = super().formatMessage(record)
        return f"{text} {fields}" if fields else text


def _word(value: object) -> str:
    """Texts with spaces or lines are quoted, so that a line stays one and its fields can be told apart."""
    text = str(value)
    return (
        json.dumps(text, ensure_ascii=False)
        if isinstance(value, str) and (text.split() != [text] or '"' in text)
        else text
    )


def soften(record: logging.LogRecord) -> bool:
    """kopf calls every request that it tries again an error. None of its errors is final: it is started anew when it ends."""
    if record.name.startswith("kopf.") and record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


def configure(style: str, level: str) -> None:
    """Send all logs to stderr. kopf's own chatter is kept out: its errors matter, its progress is not ours."""
    handler = logging.StreamHandler()
    handler.addFilter(soften)
    handler.setFormatter(
        JsonFormatter() if style == "json" else TextFormatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.ERROR)
    for library in ("kubernetes", "asyncio", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)
