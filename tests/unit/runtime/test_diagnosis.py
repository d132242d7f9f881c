"""Recorded failure texts of vLLM 0.32 and the libraries under it, each with the code, field and value that it must become."""

import time

import pytest

from fairlead_runtime.catalogue import CATALOGUE
from fairlead_runtime.causes import Cause
from fairlead_runtime.diagnosis import CODES, diagnose, redact

KV = (
    "(EngineCore pid=31) ERROR 11-24 02:10:11 [core.py:1510] ValueError: To serve at least one request with the model's max"
    " seq len (1024), (0.31 GiB KV cache is needed, which is larger than the available KV cache memory (0.16 GiB). Based on the"
    " available memory, the estimated maximum model length is 700. Try increasing `gpu_memory_utilization`"
)
CONTEXT = (
    "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len"
    " (max_position_embeddings=2048.0 or model_max_length=None in model's config.json)."
)


@pytest.mark.parametrize(
    ("line", "code", "field", "suggestion"),
    [
        pytest.param(
            KV, "KVCacheTooSmall", "spec.engine.maxModelLen", "640", id="the length that fits, in whole blocks"
        ),
        pytest.param(CONTEXT, "ContextTooLong", "spec.engine.maxModelLen", "2048", id="the model's own maximum"),
        pytest.param(
            "api_server.py: error: unrecognized arguments: --no-such-flag",
            "UnknownEngineArgument",
            "spec.engine.extraArgs",
            None,
            id="a flag that the parser does not know",
        ),
        pytest.param(
            "api_server.py: error: argument --block-size: invalid int value: 'abc'",
            "BadArgument",
            "spec.engine.blockSize",
            None,
            id="a value that the parser refuses: the field that sets the argument",
        ),
        pytest.param(
            "Value error, Total number of attention heads (8) must be divisible by tensor parallel size (3).",
            "TensorParallelMismatch",
            "spec.parallelism.tensor",
            "2",
            id="the next size that divides the heads",
        ),
        pytest.param(
            "World size (4) is larger than the number of available GPUs (2) in this node",
            "NotEnoughGPUs",
            "spec.parallelism",
            "at most 2",
            id="more accelerators than the pod has",
        ),
        pytest.param(
            "Model architectures ['FooBarForCausalLM'] are not supported for now. Supported architectures: dict_keys([])",
            "UnsupportedArchitecture",
            "spec.model.uri",
            None,
            id="an architecture that the engine does not have",
        ),
        pytest.param(
            "The checkpoint you are trying to load has model type `foobar` but Transformers does not recognize this"
            " architecture",
            "UnsupportedArchitecture",
            "spec.model.uri",
            None,
            id="a model type that transformers does not have",
        ),
        pytest.param(
            "Value error, Unknown quantization method: foo4. Must be one of ['awq', 'gptq']",
            "UnsupportedQuantization",
            "spec.engine.quantization",
            None,
            id="a quantization that does not exist",
        ),
        pytest.param(
            "OSError: You are trying to access a gated repo.\n401 Client Error",
            "Unauthorized",
            "spec.model.tokenSecretRef",
            None,
            id="a gated repository",
        ),
        pytest.param(
            "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.",
            "ModelNotFound",
            "spec.model.uri",
            None,
            id="a repository that does not exist",
        ),
        pytest.param(
            "Value error, Invalid repository ID or local directory specified: '/models/model'.",
            "ModelNotFound",
            "spec.model.uri",
            None,
            id="a folder without a model",
        ),
        pytest.param(
            "OSError: dev is not a valid git identifier (branch name, tag name or commit id)",
            "RevisionNotFound",
            "spec.model.revision",
            None,
            id="a revision that does not exist",
        ),
        pytest.param(
            "OSError: We couldn't connect to 'https://hub.example' to load the files",
            "HubUnreachable",
            "spec.model.uri",
            None,
            id="a hub that does not answer",
        ),
        pytest.param(
            "OSError: [Errno 28] No space left on device",
            "DiskFull",
            "spec.resources.ephemeralStorage",
            None,
            id="a full disk",
        ),
        pytest.param(
            "RuntimeError: unable to write to file </torch_31_20>: No space left on device (28)",
            "HostOutOfMemory",
            "spec.resources.memory",
            None,
            id="full shared memory, in PyTorch's words",
        ),
        pytest.param(
            "OSError: [Errno 28] No space left on device: '/psm_6f1c0a2b'",
            "HostOutOfMemory",
            "spec.resources.memory",
            None,
            id="full shared memory, in Python's words",
        ),
        pytest.param(
            "misc/shmutils.cc:87 NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9637888), error: No space"
            " left on device (28)",
            "HostOutOfMemory",
            "spec.resources.memory",
            None,
            id="full shared memory, in NCCL's words",
        ),
        pytest.param(
            "OSError: [Errno 28] No space left on device: '/cache/hub/torch_model.bin'",
            "DiskFull",
            "spec.resources.ephemeralStorage",
            None,
            id="a full disk, and a file with a name like shared memory's",
        ),
        pytest.param(
            "RuntimeError: [enforce fail at inline_container.cc:603] . /cache/torch_model.bin: No space left on device",
            "DiskFull",
            "spec.resources.ephemeralStorage",
            None,
            id="the same, named first",
        ),
        pytest.param(
            "(EngineCore pid=31) ERROR 11-24 02:10:11 [core.py:1510] RuntimeError: DeepSeek R1 reasoning parser could not locate"
            " think start/end tokens in the tokenizer!",
            "BadArgument",
            "spec.engine.extraArgs",
            None,
            id="a reasoning parser that does not fit the model",
        ),
        pytest.param(
            "RuntimeError: Mistral Tool Parser could not locate the tool call token in the tokenizer!",
            "BadArgument",
            "spec.engine.extraArgs",
            None,
            id="a tool parser that does not fit the model",
        ),
        pytest.param(
            "RuntimeError: Llama3JsonToolParser could not locate the bot token '<|python_tag|>' in the tokenizer.",
            "BadArgument",
            "spec.engine.extraArgs",
            None,
            id="another, in words of its own",
        ),
        pytest.param(
            "(APIServer pid=7) WARNING 11-24 02:10:11 [minimax.py:70] Minimax Tool parser could not locate tool call start/end tokens"
            " in the tokenizer. Falling back to string matching.\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB.",
            "OutOfGPUMemory",
            "spec.engine.gpuMemoryUtilizationPercent",
            None,
            id="a parser that does without its tokens is no cause",
        ),
        pytest.param(
            "(Worker pid=9) ERROR 11-24 02:10:11 [multiproc_executor.py:953] safetensors_rust.SafetensorError: Error while"
            " deserializing header: incomplete metadata, file not fully covered",
            "WeightsCorrupt",
            "spec.model.uri",
            None,
            id="weights that were cut off",
        ),
        pytest.param(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB.",
            "OutOfGPUMemory",
            "spec.engine.gpuMemoryUtilizationPercent",
            None,
            id="an accelerator that is too small",
        ),
        pytest.param(
            "OSError: [Errno 98] Address already in use", "PortInUse", "spec.engine.extraArgs", None, id="a port in use"
        ),
        pytest.param(
            "VLLMValidationError: The supplied chat template (/x.jinja) appears path-like, but doesn't exist!",
            "BadChatTemplate",
            "spec.engine.extraArgs",
            None,
            id="a chat template that is not there",
        ),
        pytest.param(
            "ValueError: Available memory on node 0 (10.1/23.4 GiB) on startup is less than desired CPU memory utilization"
            " (0.92, 21.53 GiB).",
            "HostOutOfMemory",
            "spec.engine.kvCacheMemory",
            None,
            id="a node without the memory that the CPU engine would take",
        ),
        pytest.param("Fatal Python error: Segmentation fault", "EngineDied", "", None, id="a crash, in Python's words"),
        pytest.param("!!!!!!! Segfault encountered !!!!!!!", "EngineDied", "", None, id="a crash, in PyTorch's words"),
        pytest.param(
            "torch.AcceleratorError: CUDA error: invalid device ordinal",
            "NotEnoughGPUs",
            "spec.parallelism",
            None,
            id="an accelerator that the pod was not given",
        ),
    ],
)
def test_a_known_text_becomes_its_code(line: str, code: str, field: str, suggestion: str | None) -> None:
    noise = ["INFO 11-24 02:10:10 [x.py:1] starting", *line.splitlines()]
    found = diagnose([*noise, "RuntimeError: Engine core initialization failed. See root cause above."])

    assert (found.code, found.field) == (code, field)
    assert found.suggestion == (suggestion or found.suggestion)
    assert found.message
    assert found.code in CODES


def test_the_numbers_of_the_engine_are_in_the_message() -> None:
    assert "1024 tokens" in diagnose([KV]).message
    assert "0.31 GiB" in diagnose([KV]).message
    assert "700 tokens would fit" in diagnose([KV]).message
    assert "99999" in diagnose([CONTEXT]).message


def test_an_unknown_failure_tells_what_the_process_nearest_to_it_said() -> None:
    found = diagnose(
        [
            "(EngineCore pid=2) ERROR 11-24 02:10:11 [core.py:1510] FooError: from the core",
            "(Worker_TP0 pid=3) ERROR 11-24 02:10:11 [multiproc_executor.py:953] BarError: from the worker",
            "RuntimeError: Engine core initialization failed.",
        ]
    )

    assert found.code == "UnknownFailure"
    assert found.message == "BarError: from the worker"


def test_an_engine_without_a_word_is_an_unknown_failure_that_says_so() -> None:
    assert diagnose([]).code == "UnknownFailure"
    assert diagnose([]).message


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("token hf_abcdefghijklmnop", "hf_abcdefghijklmnop"),
        ("Bearer sk-abcdef123456", "sk-abcdef123456"),
        ("https://user:hunter22@host/x", "hunter22"),
        ("api_key=topsecret1", "topsecret1"),
        ("https://cdn.example/x?Expires=1&Signature=abcd~efgh&Key-Pair-Id=K", "abcd~efgh"),
        ("https://bucket.example/x?X-Amz-Signature=0123abcd", "0123abcd"),
    ],
)
def test_secrets_are_not_told(text: str, secret: str) -> None:
    assert secret not in redact(f"failed with {text} in use")
    assert secret not in diagnose([f"FooError: {text}"]).message


def test_a_secret_in_a_refused_value_is_not_told() -> None:
    lines = [
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "hf_token",
        "  Input should be a valid boolean [type=bool_parsing, input_value='hf_abcdefghijklmnop', input_type=str]",
    ]

    assert diagnose(lines).message == "hf_token 'hf_***': Input should be a valid boolean"


def test_hostile_text_takes_a_bounded_time() -> None:
    started = time.process_time()
    diagnose(["(" * 4000, "[" * 4000, "error: argument " + "a" * 4000] * 130)

    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            '(APIServer pid=7) INFO:     10.0.0.9:4711 - "GET /CUDA out of memory HTTP/1.1" 404 Not Found',
            id="an access log line",
        ),
        pytest.param("INFO 11-24 02:10:10 [x.py:1] No space left on device", id="a line of level INFO"),
    ],
)
def test_what_a_client_can_write_into_the_log_is_no_cause(line: str) -> None:
    assert diagnose([line, "BarError: the real one"]).message == "BarError: the real one"


def test_what_pydantic_adds_is_not_told() -> None:
    line = "  Value error, Unknown quantization method: foo4. [type=value_error, input_value=ArgsKwargs((), {})]"

    assert diagnose([line]).message == "Unknown quantization method: foo4."


RAISED_FROM = """\
Traceback (most recent call last):
  File "/x/hub.py", line 500, in cached_files
    raise _format(RevisionNotFoundError, message, response)
huggingface_hub.errors.GatedRepoError: 403 Client Error.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/hub.py", line 610, in cached_files
    raise OSError(
    ^^^^^^^^^^^^^^
OSError: You are trying to access a gated repo.
"""


@pytest.mark.parametrize("prefix", ["", "(EngineCore pid=9) ERROR 11-24 02:10:11 [core.py:1510] "])
def test_the_source_code_in_a_traceback_is_no_cause_and_the_outermost_exception_is_told(prefix: str) -> None:
    found = diagnose([prefix + line for line in RAISED_FROM.splitlines()])

    assert (found.code, found.message) == ("Unauthorized", "You are trying to access a gated repo.")


#: On accelerators: the front end has a process of its own look at the model's class.
LOOKED_AT_ELSEWHERE = """\
Error in inspecting model architecture 'Terratorch'
Traceback (most recent call last):
  File "/x/vllm/model_executor/models/registry.py", line 1569, in _run_in_subprocess
    returned.check_returncode()
subprocess.CalledProcessError: Command '['/x/python', '-m', 'vllm.model_executor.models.registry']' returned non-zero exit status 1.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/vllm/model_executor/models/registry.py", line 1572, in _run_in_subprocess
    raise RuntimeError(
RuntimeError: Error raised in subprocess:
Traceback (most recent call last):
  File "/x/vllm/model_executor/models/registry.py", line 1588, in _run
    result = fn()
             ^^^^
  File "/x/vllm/model_executor/models/terratorch.py", line 27, in <module>
    from terratorch.vllm import (
ModuleNotFoundError: No module named 'terratorch'
"""
REFUSED = (
    "  Value error, Model architectures ['Terratorch'] failed to be inspected. Please check the logs for more details."
    " [type=value_error, input_value=ArgsKwargs((), {}), input_type=ArgsKwargs]"
)


def test_a_models_class_that_failed_in_a_process_of_its_own_is_a_model_that_is_not_supported() -> None:
    log = [
        "(APIServer pid=7) ERROR 11-28 12:40:36 [registry.py:1120] " + line for line in LOOKED_AT_ELSEWHERE.splitlines()
    ]

    found = diagnose([*log, REFUSED])

    assert (found.code, found.field) == ("UnsupportedArchitecture", "spec.model.uri")
    assert "['Terratorch'] failed to be inspected" in found.message


@pytest.mark.parametrize("cause", [pytest.param(cause, id=cause.pattern.pattern[:60]) for cause in CATALOGUE])
def test_every_row_finds_itself_in_its_example(cause: Cause) -> None:
    seen = cause.pattern.search(cause.example)
    assert seen is not None

    told = cause.build(seen)
    assert told == diagnose(cause.example.splitlines()), "a row above takes its text"
    assert told.code in CODES
    assert told.suggestion


@pytest.mark.parametrize("sizes", ["30.1/79.1.2.3", "30.1/00.0", "./79.2", f"{'9' * 5000}/1"])
def test_sizes_that_are_no_numbers_leave_the_general_cause(sizes: str) -> None:
    line = f"ValueError: Free memory on device cuda:0 ({sizes} GiB) on startup is less than desired GPU memory utilization (0.92, 72.9 GiB)."

    assert diagnose([line]).code == "OutOfGPUMemory"
