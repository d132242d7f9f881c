"""A wrong value, what the status and `fairlead why` make of it while the old replica answers on, and the cure that they name."""

import shlex
from datetime import UTC, datetime

from rich.console import Console

from fairlead_cli.demo import questions, view
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import surroundings
from fairlead_cli.local.errors import LocalError
from fairlead_cli.why import asking, telling
from fairlead_cli.why.gathering import gather
from fairlead_cli.why.page import page
from fairlead_cli.why.story import Story, tell

#: More than any context of the demo's model: the engine says so before it loads weights, so nobody waits long.
WRONG = '{"spec":{"engine":{"maxModelLen":99999}}}'
QUESTION = "What is a KV cache?"


class NoCure(LocalError):  # noqa: N818
    """`fairlead why` did not tell the field, the value and the command."""


def break_it(console: Console, kubectl: Kubectl, name: str, seconds: float) -> None:
    """Apply the wrong value, follow until its engine has failed, and show that the former replica answers meanwhile."""
    patch = ("patch", "infs", name, "--type=merge", "-p", WRONG)
    view.command(console, shlex.join(["kubectl", *patch]))
    kubectl.run(*patch)
    view.follow_to_failure(console, kubectl, name, seconds)
    address = f"http://{kubectl.get('service', name)['spec']['clusterIP']}"
    view.command(console, f"curl {address}/v1/chat/completions -d '... {QUESTION} ...'   # the former replica answers")
    console.print(f"  {questions.chat(address, name, QUESTION)}", style="bold", markup=False)


def cure_it(console: Console, kubectl: Kubectl, name: str, seconds: float) -> None:
    """Show what `fairlead why` says, do what it says, and follow until Ready. Raises NoCure, NotReady."""
    view.command(console, f"fairlead why {name}")
    story = _story(kubectl, name)
    telling.show(console, page(story, telling.width(console)))
    if story.healthy or story.cure is None or story.cure.value is None:
        raise NoCure(f"fairlead why {name} knows no cure for {WRONG}")
    view.command(console, story.cure.command)
    _, *arguments = shlex.split(story.cure.command)
    kubectl.run(*arguments)
    view.follow(console, kubectl, name, seconds)
    view.command(console, f"fairlead why {name}")
    telling.show(console, page(_story(kubectl, name), telling.width(console)))


def _story(kubectl: Kubectl, name: str) -> Story:
    reader = asking.Kubectl(str(kubectl.program), (f"--kubeconfig={kubectl.kubeconfig}",))
    try:
        with surroundings.without_proxies():
            return tell(gather(reader, name, lambda: datetime.now(UTC)))
    except asking.UnansweredError as refusal:
        raise NoCure(f"fairlead why {name} cannot be answered: {refusal}") from refusal
