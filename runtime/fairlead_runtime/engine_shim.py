"""Where vLLM 0.26 to 0.33 keep the functions that the server is made of. Signatures are the same; only their modules moved.

Nothing is imported before load(): the import takes 10 s and more, and probes and signals must work before.
"""

import importlib
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

#: Newest first.
_CLI_ENV_SETUP = ("vllm.entrypoints.common.startup", "vllm.entrypoints.serve.utils.api_utils")
_CLI_ARGS = (
    "vllm.entrypoints.common.cli_args",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.entrypoints.openai.cli_args",
)
ENTRY = ("vllm.entrypoints.launchers.api_server.entry", "vllm.entrypoints.openai.api_server")
_APP = ("vllm.entrypoints.launchers.app", "vllm.entrypoints.openai.api_server")
_APP_STATE = ("vllm.entrypoints.launchers.api_server.app_state", "vllm.entrypoints.openai.api_server")
_LAUNCHER = ("vllm.entrypoints.launchers.launcher", "vllm.entrypoints.openai.api_server")


@dataclass(frozen=True, slots=True)
class Functions:
    """vLLM's own functions, by vLLM's own names."""

    version: str
    make_arg_parser: Callable[[Any], Any]
    validate_parsed_serve_args: Callable[[Any], None]
    configure_logging_from_args: Callable[[Any], None]
    decorate_logs: Callable[..., None]
    setup_server: Callable[..., tuple[str, Any]]
    build_async_engine_client: Callable[[Any], AbstractAsyncContextManager[Any]]
    build_app: Callable[..., Any]
    init_app_state: Callable[..., Any]
    argument_parser: Callable[..., Any]


def load() -> Functions:
    """Imports vLLM. Raises ImportError when it is none of the supported versions."""
    # First: it chooses `spawn` for the engine's processes; with the library's own default, fork, a CUDA engine cannot start.
    find("cli_env_setup", _CLI_ENV_SETUP)()
    logging = importlib.import_module("vllm.logger")
    return Functions(
        version=str(importlib.import_module("vllm").__version__),
        make_arg_parser=find("make_arg_parser", _CLI_ARGS),
        validate_parsed_serve_args=find("validate_parsed_serve_args", _CLI_ARGS),
        # Absent before 0.32: logging was configured at import.
        configure_logging_from_args=getattr(logging, "configure_logging_from_args", lambda _: None),
        decorate_logs=find("decorate_logs", ("vllm.utils.system_utils",)),
        setup_server=find("setup_server", _LAUNCHER),
        build_async_engine_client=find("build_async_engine_client", ENTRY),
        build_app=find("build_app", _APP),
        init_app_state=find("init_app_state", _APP_STATE),
        argument_parser=find("FlexibleArgumentParser", ("vllm.utils.argparse_utils",)),
    )


def look_at_models_here() -> None:
    """What a model's class can do is found out in this process and not in one of its own, whose imports take ten seconds of a core.

    vLLM starts that one to keep CUDA out of the front end: only for engines on processors. It is started where vLLM has changed:
    what is called with more than the function would fail, and vLLM would take that for a fault of the model.
    """
    try:
        registry: Any = importlib.import_module("vllm.model_executor.models.registry")
    except ImportError:
        return
    if _takes_one(getattr(registry, "_run_in_subprocess", None)):
        registry._run_in_subprocess = lambda function: function()  # noqa: SLF001


def _takes_one(function: Any) -> bool:
    """Whether `function` is one, of a single positional parameter."""
    if not callable(function):
        return False
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    return kinds in ([inspect.Parameter.POSITIONAL_OR_KEYWORD], [inspect.Parameter.POSITIONAL_ONLY])


def remember_environment() -> None:
    """Lets the front end read each environment variable once, as vLLM's other processes do; it asks for one with every token."""
    environment: Any = importlib.import_module("vllm.envs")
    if hasattr(environment, "enable_envs_cache"):
        environment.enable_envs_cache()


def find(name: str, modules: tuple[str, ...]) -> Any:
    """`name` from the first of `modules` that has it. Raises ImportError when none has."""
    for module in modules:
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError as error:
            if not module.startswith(str(error.name)):
                raise  # a dependency of vLLM is missing, not this module
            continue
        if found is not None:
            return found
    raise ImportError(f"this vLLM has no {name} in any of {', '.join(modules)}; fairlead knows vLLM 0.26 to 0.33")


def death(engine: Any) -> str:
    """Why a dead engine is dead, as far as its process tells: vLLM's own exception only points at the log. engine: AsyncLLM."""
    manager: Any = getattr(getattr(getattr(engine, "engine_core", None), "resources", None), "engine_manager", None)
    # Absent in some of the versions.
    ended = manager.finished_procs() if hasattr(manager, "finished_procs") else {}
    told = f"; ended processes: {ended}" if any(ended.values()) else ""
    return f"EngineDeadError: the engine's process ended while serving{told}"
