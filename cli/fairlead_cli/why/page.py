"""A Story as one screen of text, readable at 80 columns; colours are named here and put on by whoever prints it. Pure."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead_cli.why.events import Event
from fairlead_cli.why.pods import Replica
from fairlead_cli.why.spans import since
from fairlead_cli.why.story import Story
from fairlead_operator.core.reasons import REASONS

WIDTH: Final = 80
_LABEL: Final = 8
#: Pods, events and other failures that are shown; of the rest the number.
PODS: Final = 4
EVENTS: Final = 4
OTHERS: Final = 3
_PRESENT: Final = 60


@dataclass(frozen=True)
class Line:
    """`style` is one of rich's."""

    text: str
    style: str = ""


def page(story: Story, width: int = WIDTH) -> list[Line]:
    """The whole story. Commands are not wrapped, so that they can be copied."""
    return [line for part in (_head(story, width), _wrong(story, width), _chain(story, width)) for line in part]


def _head(story: Story, width: int) -> Iterator[Line]:
    serving = {True: ", and requests are answered" if not story.healthy else "", False: ", and serves nobody", None: ""}
    asleep = story.healthy and not story.wanted and story.serves is False
    told = f"infs/{story.name} in {story.namespace} is {story.headline}{'' if asleep else serving[story.serves]}"
    style = "bold green" if story.healthy else "bold yellow" if story.serves else "bold red"
    yield from (Line(text, style) for text in textwrap.wrap(told, width, break_long_words=False))
    yield Line("")


def _wrong(story: Story, width: int) -> Iterator[Line]:
    trouble, before = story.trouble, False
    if story.nobody:
        yield from _told("NOBODY", story.nobody, width, "red")
        before = True
    if trouble:
        known = REASONS.get(trouble.reason)
        condition = trouble.condition or (known.condition if known else "")
        lasting = f" for {since(trouble.since, story.at)}" if trouble.since else ""
        where = (
            f" ({trouble.condition} is not True{lasting})"
            if trouble.condition
            else f" ({condition})"
            if condition
            else ""
        )
        style = "yellow" if story.healthy else "red"
        yield from _told("WHY", f"{trouble.reason}{where}", width, style)
        yield from _told("", trouble.message, width)
        before = True
    for code, (number, message) in list(story.also.items())[:OTHERS]:
        yield from _told("ALSO", f"{code} of {number} other pod{'' if number == 1 else 's'}: {message}", width)
    if story.cure:
        before = True
        if story.cure.field:
            change = f" -> {_json(story.cure.value)}" if story.cure.value is not None else ""
            yield from _told("CHANGE", f"{story.cure.field}: {_json(story.cure.present)}{change}", width, "bold")
        if story.cure.command:
            yield Line(f"{'RUN':{_LABEL}}{story.cure.command}", "bold")
    if story.next:
        before = True
        yield from _told("NEXT", story.next, width)
    if before:
        yield Line("")


def _chain(story: Story, width: int) -> Iterator[Line]:
    yield from _told("SPEC", story.spec, width)
    yield from _told("PODS", story.deployment, width)
    shown = story.pods[:PODS]
    for pod in shown:
        yield from _pod(story, pod, width)
    if rest := story.pods[PODS:]:
        ready = sum(1 for pod in rest if pod.phase == "Ready")
        yield from _told("", f"and {len(rest)} more, {ready} of them Ready", width)
    if story.engine:
        yield from _told("ENGINE", story.engine, width)
    if story.log and story.log_lines:
        run = "the run before the present one" if story.log.run.previous else "the present run"
        yield from _told("LOG", f"of pod {story.log.run.pod}, {run}:", width)
        for text in story.log_lines:
            yield from (Line(f"{'':{_LABEL}}| {part}", "dim") for part in textwrap.wrap(text, width - _LABEL - 2))
    for place, event in enumerate(_worth_telling(story.events)):
        times = f" (x{event.count})" if event.count > 1 else ""
        told = f"{since(event.at, story.at)} ago {event.type} {event.reason}{times} {event.about}: {event.message}"
        yield from _told(
            "EVENTS" if place == 0 else "", textwrap.shorten(told, 2 * (width - _LABEL), placeholder=" ..."), width
        )
    for unread in story.unread:
        yield from _told("UNREAD", unread, width, "yellow")


def _worth_telling(events: Sequence[Event]) -> list[Event]:
    """A startup probe fails until the engine has started: no news."""
    return [event for event in events if not event.message.startswith("Startup probe failed")][:EVENTS]


def _pod(story: Story, pod: Replica, width: int) -> Iterator[Line]:
    facts = [pod.phase if not pod.failure else f"{pod.phase}, {pod.failure.code}"]
    facts += [f"{pod.restarts} restart{'' if pod.restarts == 1 else 's'}"] if pod.restarts else []
    facts += ["of an earlier spec"] if pod.wanted is False else []
    facts += [pod.node] if pod.node else []
    facts += [f"made {since(pod.created, story.at)} ago"] if pod.created else []
    yield from _told("", f"{pod.pod}: {', '.join(facts)}", width, "" if pod.phase == "Ready" else "yellow")
    # A container that was started again has steps of several runs in its ledger.
    if pod.startup and not pod.restarts:
        longest = max(pod.startup, key=lambda step: pod.startup[step])
        steps = [f"{step} {seconds} s" for step, seconds in pod.startup.items()]
        told = f"start {sum(pod.startup.values())} s: {', '.join(steps)}"
        yield from _told("", f"  {told}" + (f"; most of it {longest}" if len(steps) > 1 else ""), width)


def _told(label: str, text: str, width: int, style: str = "") -> Iterable[Line]:
    """A label and its text, which hangs beside it."""
    indent = len(text) - len(text.lstrip())
    wrapped = textwrap.wrap(text.strip(), width - _LABEL - indent, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    for place, part in enumerate(wrapped):
        yield Line(f"{label if place == 0 else '':{_LABEL}}{' ' * indent}{part}".rstrip(), style)


def _json(value: Any) -> str:
    if value is None:
        return "(not set)"
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= _PRESENT else f"{text[: _PRESENT - 3]}..."
