"""`fairlead demo`."""

import shlex
import time

import click
from rich.console import Console

from fairlead_cli.demo import broken, questions, view
from fairlead_cli.demo.kubectl import Kubectl
from fairlead_cli.local import node, stack, surroundings
from fairlead_cli.local.progress import step
from fairlead_cli.local.stack import ROOT

NAME = "demo"
EXAMPLE = ROOT / "examples" / "demo.yaml"
QUESTION = "What is fairlead?"
#: Seconds for the first replica: the engine imports, loads and decodes on two cores.
READY_WITHIN = 600


@click.command()
def demo() -> None:
    """Start a real one-node Kubernetes here, install fairlead, and talk to a model.

    The cluster stays up afterwards; `fairlead cluster down` takes it away without a trace.
    """
    console = Console()
    started = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.0f} s[/]  {line}", highlight=False)

    ready = stack.up(say)
    kubectl = ready.kubectl
    # What the pods promise is enforced here: one that asks for more is refused.
    stack.restrict(kubectl, "default")
    # A demo of before is gone first: this one shows the whole way.
    with step("taking away what an earlier demo left", say):
        kubectl.run("delete", "inferenceservices.fairlead.dev", NAME, "--ignore-not-found", "--wait")

    view.command(console, f"kubectl apply -f {EXAMPLE.relative_to(ROOT)}")
    kubectl.run("apply", "-f", str(EXAMPLE))
    view.follow(console, kubectl, NAME, READY_WITHIN)
    say(f"{NAME} is Ready")

    converse(console, kubectl)
    broken.break_it(console, kubectl, NAME, READY_WITHIN)
    broken.cure_it(console, kubectl, NAME, READY_WITHIN)
    say(f"{NAME} is Ready again")
    scale(console, kubectl)
    # Its columns are kubectl's: a line that is folded here would be a table no more.
    console.print(kubectl.run("get", "infs", NAME, "-o", "wide"), markup=False, highlight=False, soft_wrap=True)
    what_next(console, kubectl)


def converse(console: Console, kubectl: Kubectl) -> None:
    """Ask through the OpenAI API and through /generate, then show some of the pod's metrics."""
    address = f"http://{kubectl.get('service', NAME)['spec']['clusterIP']}"
    view.command(console, f"curl {address}/v1/chat/completions -d '... {QUESTION} ...'")
    console.print(f"  {questions.chat(address, NAME, QUESTION)}", style="bold", markup=False)

    view.command(console, f"curl {address}/generate -d '...'")
    console.print_json(data=questions.generate(address, QUESTION))

    pod = kubectl.get("pods", "-l", f"fairlead.dev/service={NAME}")["items"][0]
    management = f"http://{pod['status']['podIP']}:9090"
    view.command(console, f"curl {management}/metrics")
    for line in questions.metrics(management):
        console.print(f"  {line}", markup=False, highlight=False, overflow="ellipsis", no_wrap=True)


def scale(console: Console, kubectl: Kubectl) -> None:
    """To two replicas, through the resource's own scale, back to one, and to two for the user to play with."""
    for replicas in (2, 1, 2):
        view.command(console, f"kubectl scale infs/{NAME} --replicas={replicas}")
        kubectl.run("scale", f"infs/{NAME}", f"--replicas={replicas}")
        view.follow(console, kubectl, NAME, READY_WITHIN)


def what_next(console: Console, kubectl: Kubectl) -> None:
    """How to go on from here."""
    told = surroundings.exemption(node.NETWORK)
    past_the_proxy = f"\n  {told}   # no proxy leads to the cluster" if told else ""
    console.print(
        f"""
Try next:
  export KUBECONFIG={shlex.quote(str(kubectl.kubeconfig))}{past_the_proxy}
  export PATH="$PATH":{shlex.quote(str(kubectl.program.parent))}   # the kubectl that was built, where there is no other
  kubectl get infs {NAME}
  kubectl explain infs.spec.engine
  kubectl describe infs {NAME}
  kubectl patch infs {NAME} --type=merge -p '{{"spec":{{"engine":{{"kvCacheMemory":"1Mi"}}}}}}'
  kubectl wait --for=condition=EngineHealthy=False infs/{NAME} --timeout=5m   # until the new pod has failed
  .venv/bin/fairlead why {NAME}                      # what that broke, and the command that mends it
  .venv/bin/fairlead cluster down                 # leaves nothing behind
""",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
