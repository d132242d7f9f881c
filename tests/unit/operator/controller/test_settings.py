import json
import logging

import pytest

from fairlead_operator import logs
from fairlead_operator.__main__ import main
from fairlead_operator.settings import Settings


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_RUNTIME_IMAGE", "example.com/a:1")
    monkeypatch.setenv("FAIRLEAD_RUNTIME_IMAGE_CPU", "example.com/b:1")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_WATCH_NAMESPACES", "b, a,,b")
    monkeypatch.setenv("FAIRLEAD_NAMESPACE", "ops")

    monkeypatch.setenv("FAIRLEAD_ALLOWED_IMAGES", "registry.test/team/, registry.test:5000")

    settings = Settings()

    assert settings.image_prefixes == ("registry.test/team", "registry.test:5000")
    assert settings.namespaces == ("a", "b")
    assert settings.namespace == "ops"
    assert settings.workers == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [("FAIRLEAD_WORKERS", "0"), ("FAIRLEAD_LOG_FORMAT", "xml"), ("FAIRLEAD_RUNTIME_IMAGE", ""), ("FAIRLEAD_HEALTH_PORT", "x")],
)  # fmt: skip
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert main() == 2
    assert name in capsys.readouterr().err


def record() -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "reconciled", "levelname": "INFO", "service": "ns/a", "changes": ["status"]})


def test_a_json_line_carries_the_fields() -> None:
    line = json.loads(logs.JsonFormatter().format(record()))

    assert (line["message"], line["service"], line["changes"], line["level"]) == (
        "reconciled",
        "ns/a",
        ["status"],
        "INFO",
    )


@pytest.mark.parametrize(
    ("logger", "level"),
    [
        pytest.param("kopf._cogs.clients.watching", "WARNING", id="kopf, which tries again"),
        pytest.param("fairlead_operator.controller", "ERROR", id="our own"),
    ],
)
def test_what_is_tried_again_is_no_error(logger: str, level: str) -> None:
    line = logging.makeLogRecord({"name": logger, "levelno": logging.ERROR, "levelname": "ERROR"})

    assert logs.soften(line)
    assert line.levelname == level


def test_a_text_line_carries_the_fields() -> None:
    assert logs.TextFormatter("%(message)s").format(record()) == "reconciled service=ns/a changes=['status']"


def test_text_stays_one_line_and_a_traceback_comes_below() -> None:
    failure = (ValueError, ValueError("a\nb"), None)
    failed = logging.makeLogRecord({
        "msg": "reconciled", "why": 'two\nlines, "quoted"', "pod": "a", "exc_info": failure,
    })  # fmt: skip

    first, *below = logs.TextFormatter("%(message)s").format(failed).splitlines()

    assert first == r'reconciled why="two\nlines, \"quoted\"" pod=a'
    assert below[-2:] == ["ValueError: a", "b"]
