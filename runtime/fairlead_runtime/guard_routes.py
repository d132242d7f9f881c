"""The allow-list of the serving port: exact method and path; what is not here does not exist.

vLLM's application has far more routes than it guards (/tokenize, /invocations, /scale_elastic_ep, development and weight-update
routes ...), and new ones with each release. So the list names what is served, never what is forbidden. Each route of vLLM in
it reacts to `http.disconnect` (`with_cancellation` or a streaming response), so that a deadline reaches the engine.
"""

from collections.abc import Mapping

#: Readiness for load balancers outside the cluster; the one route without a key. Answered by the guard itself.
HEALTH = ("GET", "/health")

#: Metric label for every request that is on no route: paths are chosen by callers and must not become label values.
OTHER = "other"

ROUTES: Mapping[str, str] = {
    "/health": "GET",
    "/generate": "POST",
    "/generate/batch": "POST",
    # What OpenAI clients call. The stored /v1/responses/{id} and its cancel need a store that one replica cannot share: left out.
    "/v1/models": "GET",
    "/v1/completions": "POST",
    "/v1/chat/completions": "POST",
    "/v1/responses": "POST",
    # For clients that count tokens before they send.
    "/tokenize": "POST",
    "/detokenize": "POST",
    "/version": "GET",
    # The schema of exactly these routes (openapi.py makes it); the documentation pages load scripts from elsewhere: left out.
    "/openapi.json": "GET",
}

#: Routes whose requests occupy the engine: every POST that is not known to compute nothing.
GENERATING = frozenset(path for path, method in ROUTES.items() if method == "POST") - {"/tokenize", "/detokenize"}


def allowed_method(path: str) -> str | None:
    """The one method that `path` answers to, or None. `path` is percent-decoded once, as the application's router sees it."""
    return ROUTES.get(path)
