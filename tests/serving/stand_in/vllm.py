"""On the engine process's path in place of vLLM: one module under each name from which the runtime imports something."""

import contextlib
import json
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from typing import Any

from serving import application
from serving.application import build_app, init_app_state
from serving.engine import (
    Engine,
    EngineDeadError,
    RequestOutputKind,
    SamplingParams,
    VLLMValidationError,
    parse_model_prompt,
)

__version__ = "0.32.0+scripted"
__all__ = [
    "EngineDeadError",
    "FlexibleArgumentParser",
    "RequestOutputKind",
    "SamplingParams",
    "VLLMValidationError",
    "build_app",
    "build_async_engine_client",
    "cli_env_setup",
    "configure_logging_from_args",
    "decorate_logs",
    "get_hf_file_to_dict",
    "init_app_state",
    "make_arg_parser",
    "parse_model_prompt",
    "setup_server",
    "validate_parsed_serve_args",
]

for name in (
    "envs",
    "logger",
    "exceptions",
    "sampling_params",
    "entrypoints.common.startup",
    "entrypoints.common.cli_args",
    "entrypoints.openai.api_server",
    "entrypoints.openai.completion",
    "entrypoints.openai.chat_completion",
    "renderers.inputs.preprocess",
    "transformers_utils.repo_utils",
    "utils.argparse_utils",
    "utils.system_utils",
    "v1.engine.exceptions",
):
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        sys.modules[".".join(["vllm", *parts[:length]])] = sys.modules[__name__]
for name in ("completion", "chat_completion"):
    sys.modules[f"vllm.entrypoints.openai.{name}.api_router"] = application

FlexibleArgumentParser = ArgumentParser


def make_arg_parser(parser: ArgumentParser) -> ArgumentParser:
    """The flags that the runtime renders for these tests, and those of vLLM that it reads back."""
    parser.add_argument("--model")
    parser.add_argument("--revision")
    parser.add_argument("--tokenizer-revision")
    parser.add_argument("--served-model-name")
    parser.add_argument("--port", type=int)
    parser.add_argument("--host")
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--max-num-seqs", type=int, default=4096)
    parser.add_argument("--kv-cache-memory-bytes", type=int)
    parser.add_argument("--uvicorn-log-level", default="warning")
    parser.add_argument("--disable-uvicorn-access-log", action="store_true", default=True)
    return parser


def setup_server(args: Namespace, *, reuse_port: bool) -> tuple[str, socket.socket]:
    """Bound and not listening, as vLLM's."""
    assert not reuse_port
    sock = socket.socket(socket.AF_INET6 if args.host == "::" else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((args.host or "", args.port))
    return f"http://{args.host}:{args.port}", sock


@contextlib.asynccontextmanager
async def build_async_engine_client(args: Namespace) -> AsyncIterator[Engine]:
    """Says at its end what was left in it: an orderly stop leaves nothing."""
    engine = Engine(args.max_num_seqs, args.max_model_len, args.kv_cache_memory_bytes)
    try:
        yield engine
    finally:
        report = {"left": engine.unfinished, "finished": engine.finished, "aborted": engine.aborted}
        print("scripted engine " + json.dumps(report), flush=True)


def cli_env_setup() -> None:
    """Nothing is spawned."""


def configure_logging_from_args(_: Namespace) -> None:
    """Python's defaults do."""


def validate_parsed_serve_args(_: Namespace) -> None:
    """The parser has seen all there is."""


def get_hf_file_to_dict(_name: str, _repository: str, _revision: str | None) -> None:
    """The hub shows nothing: no model is read here."""


def decorate_logs(_: str, **__: Any) -> None:
    """One process, one prefix: none."""
