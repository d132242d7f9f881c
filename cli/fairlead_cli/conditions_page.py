"""docs/conditions.md: every condition and reason, and what to do; runbook.py has a section for each reason. `make generate`."""

import sys
from pathlib import Path

from fairlead_cli.failures_page import cell
from fairlead_operator.core.condition_types import TYPES, ConditionType
from fairlead_operator.core.reasons import REASONS, Retry

PAGE = Path("docs/conditions.md")
HEAD = """\
# What the status says

<!-- Made by `make generate` from operator/fairlead_operator/core/condition_types.py and reasons.py. -->

```console
$ kubectl get infs                                   # READY and REASON
$ kubectl get infs mistral -o jsonpath='{range .status.conditions[*]}{.type}{"="}{.status}{" "}{.reason}{": "}{.message}{"\\n"}{end}'
$ kubectl wait --for=condition=Ready infs/mistral --timeout=30m
$ kubectl fairlead why mistral                       # the whole story in one screen
```

- A condition that is not True names its cause in one word, `reason`, which is stable, and in a sentence, `message`, which ends with
  what to do. Where a field of the spec is to be changed, the sentence names it.
- Every condition carries the generation of the spec that it is about in `observedGeneration`.
- The first cause wins: `Ready` and `Available` take the reason of the first condition below that is False, since what comes later
  often follows from it. Within a condition a failure that only you can remove comes before one that may pass, and an older pod's
  before a newer one's; the codes of other pods stand in brackets.
- Each reason leads to its section of the [runbook](runbook.md): what it means, where it is seen, where to look.
- A change of status or reason is told by an event with the same reason.
- `status.lastFailure` keeps the last failure of the current pod template with its count, also when the pod is gone.

"What happens next": *user must act* - nothing changes until you do, and when it was seen twice the service is `Stalled`; *wait* -
something else is on its way; *restart* - the engine is started again, which often helps.

## Giving up

A pod that fails and is started again holds its accelerators all the time. After five equal failures in a row that only you can
remove, of a spec that never served, no pod is kept: the cause stays in its condition, `Stalled` repeats it, `Scheduled` and `UpToDate`
say `GivenUp`. It goes on when the spec changes, or when you say so:

```console
$ kubectl annotate infs mistral fairlead.dev/retry=$(date +%s) --overwrite
```
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, _overview(), *map(_section, TYPES)])


def _overview() -> str:
    rows = [
        f"| [`{kind.name}`](#{kind.name.lower()}) | {cell(kind.true_when)} | {cell(kind.ready)} | {cell(kind.absent)} |"
        for kind in TYPES
    ]
    head = ["## Conditions", "", "| condition | True when | effect on Ready | absent |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _section(kind: ConditionType) -> str:
    lines = [f"### {kind.name}", "", f"True when {kind.true_when}.", ""]
    failures = sorted(code for code, reason in REASONS.items() if reason.condition == kind.name)
    if failures:
        lines += ["| reason | field | what happens next | what to do |", "|---|---|---|---|"]
        lines += [_row(code) for code in failures]
        lines.append("")
    if kind.states:
        lines += ["| reason that is no failure | means |", "|---|---|"]
        lines += [f"| `{name}` | {cell(meaning)} |" for name, meaning in sorted(kind.states.items())]
        lines.append("")
    return "\n".join(lines)


def _row(code: str) -> str:
    reason = REASONS[code]
    field = f"`{reason.field}`" if reason.field else ""
    name = f"[`{code}`](runbook.md#{code.lower()})"
    return f"| {name} | {field} | {Retry(reason.retry)} | {cell(reason.remedy)} |"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
