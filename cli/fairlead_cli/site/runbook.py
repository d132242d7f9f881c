"""docs/runbook.md: for each alert and each reason what it means, where to look and what to do. `make generate`.

Its headings are what alerts and events link to: the alert or the reason in lower case.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from fairlead_cli.alerts.rules import ALERTS, Alert
from fairlead_cli.failures_page import examples
from fairlead_cli.site.meanings import MEANS
from fairlead_operator.core.condition_types import TYPES
from fairlead_operator.core.names import SERVICE_LABEL
from fairlead_operator.core.reasons import REASONS, Reason, Retry
from fairlead_runtime.failure import CODES

PAGE = Path("docs/runbook.md")
HEAD = """\
# Runbook

<!-- Made by `make generate` from operator/fairlead_operator/core/reasons.py, cli/fairlead_cli/site/meanings.py and cli/fairlead_cli/alerts/rules.py. -->

Every reason of a condition that is not as it should be, and [every alert](#alerts). Begin with

```console
$ kubectl fairlead why NAME
```

which shows on one screen what the commands below find one by one, with the command that cures it where somebody knows the value.

Two questions come first. **Is anybody hurt?** `Available=True` says that requests are answered, by whatever revision; then there is time.
**Does it heal by itself?** Each reason below says so: *user must act*, *wait* or *restart*.

```console
$ kubectl get infs NAME -o jsonpath='{range .status.conditions[*]}{.type}{"="}{.status}{" "}{.reason}{": "}{.message}{"\\n"}{end}'
```

A service of which nothing is heard, with an old `observedGeneration`, has no operator that acts: see
[the operator is down](operations.md#the-operator-is-down).
"""
ALERTS_HEAD = """\
## Alerts

Of the chart's [PrometheusRule](observability.md#alerts). *Critical*: users are hurt. *Warning*: they will be, or somebody waits for something.
"""
NEXT = {
    Retry.USER: "Nothing changes until you act; `Stalled` says so.",
    Retry.WAIT: "It goes on by itself when what it waits for is there.",
    Retry.RESTART: "The kubelet starts the engine again, with growing pauses.",
}
#: What a source of the reasons' table contains -> the command that shows it. In the order in which they help.
LOOK = (
    ("ControllerRevision", f"kubectl get controllerrevisions -l {SERVICE_LABEL}=NAME"),
    ("terminated", "kubectl get infs NAME -o jsonpath='{.status.lastFailure}'"),
    ("terminated", "kubectl fairlead logs NAME --previous"),
    ("Deployment", "kubectl describe deployment NAME"),
    ("metadata.labels[nvidia.com/gpu.memory]", "kubectl get nodes -L nvidia.com/gpu.memory"),
    ("status.allocatable", "kubectl describe nodes"),
    ("status.conditions[PodScheduled]", f"kubectl describe pods -l {SERVICE_LABEL}=NAME"),
    ("state.waiting", f"kubectl describe pods -l {SERVICE_LABEL}=NAME"),
    ("Event of the Pod", f"kubectl describe pods -l {SERVICE_LABEL}=NAME"),
    ("Pod: status.reason", f"kubectl describe pods -l {SERVICE_LABEL}=NAME"),
    ("ContainersReady", f"kubectl get pods -l {SERVICE_LABEL}=NAME -o wide"),
    ("label fairlead.dev/template", f"kubectl get pods -l {SERVICE_LABEL}=NAME -L fairlead.dev/template"),
    # Through the pod's own network: the API server's proxy is kept out by the service's NetworkPolicy.
    ("/state", "kubectl port-forward POD 9090 &"),
    ("/state", "curl http://localhost:9090/state"),
    ("InferenceService: spec", "kubectl get infs NAME -o yaml"),
    ("ownerReferences", "kubectl get deployment,service,poddisruptionbudget NAME -o yaml"),
    ("answers to the operator", "kubectl describe infs NAME"),
    ("answers to the operator", "kubectl describe resourcequota"),
    (
        "answers to the operator",
        "kubectl -n fairlead-system logs -l app.kubernetes.io/component=operator --tail=-1 | grep /NAME",
    ),
    ("config.json", "fairlead plan -f service.yaml --gpu MEMORY"),
)
#: How many of an engine's texts stand here; all are in failures.md.
MOST_EXAMPLES = 2


def page() -> str:
    """The whole page."""
    sections = [HEAD]
    for kind in TYPES:
        codes = sorted(code for code, reason in REASONS.items() if reason.condition == kind.name)
        if codes:
            sections.append(f"## {kind.name} is not True\n\nIt is True when {kind.true_when}.\n")
            sections += [_section(code, REASONS[code]) for code in codes]
    sections.append(ALERTS_HEAD)
    sections += [_alert(alert) for alert in ALERTS]
    return "\n".join(sections)


def _alert(alert: Alert) -> str:
    told = f"- *{str(alert.severity).capitalize()}*, after {alert.lasts}"
    return "\n".join([
        f"### {alert.name}", "", alert.means, "", told, f"- Do: {alert.do}", "", "```promql", alert.expr, "```", "",
    ])  # fmt: skip


def _section(code: str, reason: Reason) -> str:
    lines = [f"### {code}", "", MEANS[code], "", f"- *{Retry(reason.retry).capitalize()}.* {NEXT[reason.retry]}"]
    if reason.field:
        lines.append(f"- Field: `{reason.field}`, unless the message names another")
    lines += [f"- Do: {reason.remedy}", f"- Seen in: {_plain(reason.source)}"]
    told = list(dict.fromkeys(failure.message for failure in examples(code)))[:MOST_EXAMPLES]
    if told:
        lines += ["- Told as:", "", *(f"    - {_plain(message)}" for message in told)]
    lines += ["", "```console", *(f"$ {command}" for command in looks(reason)), "```", ""]
    if code in CODES:
        lines += [f"All texts of engines that become it: [{code}](failures.md#{code.lower()}).", ""]
    return "\n".join(lines)


def looks(reason: Reason) -> list[str]:
    """Commands that show where the reason is seen, each once."""
    return list(dict.fromkeys(_looks(reason)))


def _looks(reason: Reason) -> Iterator[str]:
    for part, command in LOOK:
        if part in reason.source:
            yield command


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
