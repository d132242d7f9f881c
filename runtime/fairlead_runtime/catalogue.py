"""What engines say before they end -> what it means: one row per cause. Pure, standard library only.

The texts are those of vLLM 0.26 to 0.33, transformers, huggingface_hub, safetensors and PyTorch; each row carries one as they
print it. The first row that matches wins: exact causes stand before the general ones that the same failure also prints.
"""

from fairlead_runtime.causes import (
    Cause,
    absent_file,
    architecture,
    bad_argument,
    batch_below_length,
    batch_below_requests,
    cause,
    context_too_long,
    crashed,
    gpu_taken,
    kv_cache_too_small,
    lora_rank,
    no_safetensors,
    not_enough_gpus,
    other_quantization,
    planned_too_small,
    process_ended,
    quantization,
    refused_setting,
    says,
    tensor_parallel,
    unknown_argument,
)

_URI = "spec.model.uri"
_WEIGHTS = "put complete weights there"
_SHARED = "a larger size: shared memory counts to it"
_GPU_MEMORY = "lower spec.engine.maxModelLen or spec.engine.maxNumSeqs, quantize, or use more accelerators"

CATALOGUE: tuple[Cause, ...] = (
    # The KV cache, the context, the batch.
    cause(
        r"To serve at least one request with the model's max seq len \((\d+)\)",
        kv_cache_too_small,
        "ValueError: To serve at least one request with the model's max seq len (1024), (0.31 GiB KV cache is needed, which is"
        " larger than the available KV cache memory (0.16 GiB). Based on the available memory, the estimated maximum model"
        " length is 700. Try increasing `gpu_memory_utilization`",
    ),
    cause(
        r"needs a KV cache of .{1,400}: the longest context that fits is (\d+)",
        planned_too_small,
        "one request of 1,024 tokens needs a KV cache of 2.0 MiB, and at most 1.0 MiB are there: the longest context that fits is 384"
        " (planned, not tried: the annotation fairlead.dev/skip-plan=true has it tried)",
    ),
    cause(
        r"No available memory for the cache blocks|Cannot auto-fit max_model_len",
        says("KVCacheTooSmall", "spec.engine.kvCacheMemory", "give the KV cache more memory"),
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
    ),
    cause(
        r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=([\d.]+)",
        context_too_long,
        "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len"
        " (max_position_embeddings=2048.0 or model_max_length=None in model's config.json).",
    ),
    cause(
        r"max_num_batched_tokens \((\d+)\) is smaller than max_model_len \((\d+)\)",
        batch_below_length,
        "Value error, max_num_batched_tokens (64) is smaller than max_model_len (512). This effectively limits the maximum"
        " sequence length to max_num_batched_tokens and makes vLLM reject longer sequences.",
    ),
    cause(
        r"max_num_batched_tokens \((\d+)\) must be greater than or equal to max_num_seqs \((\d+)\)",
        batch_below_requests,
        "Value error, max_num_batched_tokens (4) must be greater than or equal to max_num_seqs (8).",
    ),
    # The command line.
    cause(
        r"unrecognized arguments?: ([^\n]{1,500})",
        unknown_argument,
        "api_server.py: error: unrecognized arguments: --no-such-flag",
    ),
    cause(
        r"error: (ambiguous option: [^\n]{1,500}|argument [^\n]{1,500})",
        bad_argument,
        "api_server.py: error: argument --max-num-seqs: invalid int value: 'abc'",
    ),
    cause(
        r"LoRA rank (\d+) is greater than max_lora_rank (\d+)",
        lora_rank,
        "ValueError: Call to add_lora method failed: Worker failed with error 'LoRA rank 8 is greater than max_lora_rank 1.'",
    ),
    cause(
        r"Loading lora \S{1,200} failed|invalid (?:tool call|reasoning) parser|could not locate [^\n]{1,80} in the tokenizer(?:!|\.(?! Falling))|"
        r"--enable-auto-tool-choice requires|"
        r"No valid attention backend found|Selected backend \S{1,100} is not valid for|appears to be a URI",
        says("BadArgument", "spec.engine.extraArgs", "correct the argument that is named"),
        "KeyError: 'invalid tool call parser: zork (chose from { granite,hermes,mistral })'",
    ),
    cause(
        r"Not enough allowed NUMA nodes",
        says("BadArgument", "spec.parallelism.tensor", "1, or VLLM_CPU_OMP_THREADS_BIND in spec.engine.env"),
        "AssertionError: Not enough allowed NUMA nodes to bind threads of 2 local CPUWorkers. Allowed NUMA nodes are [0].",
    ),
    cause(
        r"FP8 KV cache on CPU requires [^\n]{1,200}",
        says("BadArgument", "spec.engine.kvCacheDtype", "auto"),
        "NotImplementedError: FP8 KV cache on CPU requires x86 with AVX-512 or AMX.",
    ),
    # Accelerators.
    cause(
        r"Total number of attention heads \((\d{1,5})\) must be divisible by tensor parallel size \((\d{1,4})\)",
        tensor_parallel,
        "Value error, Total number of attention heads (8) must be divisible by tensor parallel size (3).",
    ),
    cause(
        r"World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)",
        not_enough_gpus,
        "Value error, World size (4) is larger than the number of available GPUs (2) in this node.",
    ),
    cause(
        r"device ordinal is out of bounds|is out of bounds for \d+ devices|No CUDA GPUs are available|invalid device ordinal",
        says("NotEnoughGPUs", "spec.parallelism", "as many accelerators as the pod is given"),
        "torch.AcceleratorError: CUDA error: invalid device ordinal",
    ),
    cause(
        r"CUDA driver version is insufficient|no kernel image is available|Found no NVIDIA driver|"
        r"driver on your system is too old|Failed to infer device type",
        says("DriverTooOld", "spec.placement.nodeSelector", "a node with a newer driver"),
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
    ),
    cause(
        r"Free memory on device \S{0,40} ?\((\d{1,6}(?:\.\d{1,6})?)/([1-9]\d{0,5}(?:\.\d{1,6})?) GiB\) on startup is less than desired GPU memory"
        r" utilization \([\d.]+, ([\d.]+) GiB\)",
        gpu_taken,
        "ValueError: Free memory on device cuda:0 (30.1/79.2 GiB) on startup is less than desired GPU memory utilization"
        " (0.92, 72.9 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
    ),
    cause(
        r"CUDA out of memory|Failed to load model - not enough GPU memory|is less than desired GPU memory utilization|"
        r"Error in memory profiling",
        says("OutOfGPUMemory", "spec.engine.gpuMemoryUtilizationPercent", _GPU_MEMORY),
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of 79.19 GiB",
    ),
    # The model: its kind.
    cause(
        r"Model architectures (\[[^\]\n]{1,500}\]) are not supported",
        architecture,
        "Value error, Model architectures ['FooBarForCausalLM'] are not supported for now. Supported architectures: dict_keys([])",
    ),
    cause(
        r"model type (`[^`\n]{1,200}`) but Transformers does not recognize this architecture",
        architecture,
        "Value error, The checkpoint you are trying to load has model type `foobar` but Transformers does not recognize this"
        " architecture. This could be because of an issue with the checkpoint",
    ),
    cause(
        r"not supported in-tree anymore|was supported in vLLM until|failed to be inspected|this model generates no text",
        says("UnsupportedArchitecture", _URI, "use a model that the engine supports"),
        "ValueError: Model architecture PhiMoEForCausalLM was supported in vLLM until v0.12.0, and is not supported anymore.",
    ),
    cause(
        r"Unknown quantization method: (\S{1,60}?)\. Must be one of (\[[^\]\n]{0,2000})",
        quantization,
        "Value error, Unknown quantization method: foo4. Must be one of ['awq', 'fp8', 'gptq'].",
    ),
    cause(
        r"Quantization method specified in the model config \((\S{1,60})\) does not match the quantization method specified in the"
        r" `quantization` argument \((\S{1,60})\)",
        other_quantization,
        "Value error, Quantization method specified in the model config (gptq) does not match the quantization method specified in"
        " the `quantization` argument (awq).",
    ),
    cause(
        r"Unknown quantization method|does not match the quantization method specified in the|"
        r"[Qq]uantization \S{1,60} ?(?:method |scheme )?is not supported for the current GPU|"
        r"scheme is not supported for the current GPU|is not supported for quantization method|Cannot find the config file for|"
        r"static_scaled_fp8_quant\(\) expected",
        says("UnsupportedQuantization", "spec.engine.quantization", "choose a method that engine and device support"),
        "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported dtypes: [torch.float16]",
    ),
    cause(
        r"Bfloat16 is only supported on GPUs with compute capability|does not support float16",
        says("UnsupportedSetting", "spec.engine.dtype", "float16, or a newer accelerator"),
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute"
        " capability 7.5.",
    ),
    cause(
        r"[Ss]leep mode is not supported on current platform|does not support pipeline parallelism|"
        r"is not supported (?:for|with|on) (?:the )?(?:CPU|current platform)|Speculative decoding is not (?:yet )?supported",
        says("UnsupportedSetting", "spec.engine", "leave out what is named"),
        "Value error, Sleep mode is not supported on current platform.",
    ),
    cause(
        r"If the model is a custom model|requires you to execute|to allow custom code to be run|contains custom code which must",
        says("RemoteCodeRequired", "spec.model.trustRemoteCode", "true, after reading the model's code"),
        "RuntimeError: Failed to load the model config. If the model is a custom model not yet available in the HuggingFace"
        " transformers library, consider setting `trust_remote_code=True` in LLM or using the `--trust-remote-code` flag in the CLI.",
    ),
    # The model: its place. Shared memory stands first: full, it has the words of a disk.
    cause(
        r"(?:(?<!\w)/(?:torch_|psm_)|/dev/shm\b)[^\n]{0,200}No space left on device|"
        r"No space left on device: '/(?:torch_|psm_|dev/shm/)",
        says("HostOutOfMemory", "spec.resources.memory", _SHARED),
        "RuntimeError: unable to write to file </torch_31_20>: No space left on device (28)",
    ),
    cause(
        r"No space left on device|Not enough free disk space|Disk quota exceeded",
        says("DiskFull", "spec.resources.ephemeralStorage", "a larger size, or spec.model.cache"),
        "OSError: [Errno 28] No space left on device",
    ),
    cause(
        r"You are trying to access a gated repo|is a gated repository|GatedRepoError|Access to model \S{1,300} is restricted",
        says(
            "Unauthorized",
            "spec.model.tokenSecretRef",
            "a token of an account that was given access to this model on the hub",
        ),
        "OSError: You are trying to access a gated repo.",
    ),
    cause(
        r"is not a valid git identifier|RevisionNotFoundError|Revision Not Found for url",
        says("RevisionNotFound", "spec.model.revision", "a branch, tag or commit that exists"),
        "OSError: dev is not a valid git identifier (branch name, tag name or commit id) that exists for this model name.",
    ),
    cause(
        r"RepositoryNotFoundError|Repository Not Found for url|is not a valid model identifier|or a valid repository name on",
        says(
            "ModelNotFound",
            _URI,
            "the name of a repository that exists; a private one needs spec.model.tokenSecretRef",
        ),
        "OSError: org/nothing is not a local folder and is not a valid model identifier listed on 'https://hub.example/models'",
    ),
    cause(
        r"40[13] Client Error|\b40[13] (?:Unauthorized|Forbidden)\b|Invalid (?:user )?token|"
        r"Invalid credentials in Authorization header",
        says("Unauthorized", "spec.model.tokenSecretRef", "a token that may read this model"),
        "huggingface_hub.errors.HfHubHTTPError: Client error '401 Unauthorized' for url 'https://hub.example/org/model/config.json'",
    ),
    cause(
        r"PermissionError at |PermissionError: \[Errno 13\]|\[Errno 13\] Permission denied|Permission denied: '",
        says("PermissionDenied", "spec.placement.supplementalGroups", "a group that may read the files"),
        "PermissionError: [Errno 13] Permission denied: '/models/model/config.json'",
    ),
    cause(
        r"\[Errno 30\] Read-only file system",
        says("PermissionDenied", "spec.model.cache", "a claim that can be written"),
        "OSError: [Errno 30] Read-only file system: '/cache/hub'",
    ),
    cause(
        r"We couldn't connect to|LocalEntryNotFoundError|OfflineModeIsEnabled|Cannot connect to Hugging Face Hub|"
        r"Temporary failure in name resolution|Max retries exceeded with url|5\d\d Server Error|Server error '5\d\d ",
        says("HubUnreachable", _URI, "let the pod reach the hub, or use pvc:// or oci://"),
        "OSError: We couldn't connect to 'https://hub.example' to load the files, and couldn't find them in the cached files.",
    ),
    cause(
        r"Cannot find any (?:model|safetensors model) weights|Following weights were not initialized from",
        says("WeightsCorrupt", _URI, _WEIGHTS),
        "RuntimeError: Cannot find any model weights with `/models/model`",
    ),
    cause(
        r"cannot fit 'int' into an index-sized integer",
        no_safetensors,
        "OverflowError: cannot fit 'int' into an index-sized integer",
    ),
    cause(
        r"Error while deserializing header|SafetensorError|incomplete metadata, file not fully covered|Consistency check failed|"
        r"is not a valid JSON file",
        says("WeightsCorrupt", _URI, _WEIGHTS),
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered",
    ),
    cause(
        r"Repo id must be in the form|Invalid repository ID or local directory specified|is not a local folder|"
        r"does not appear to have (?:a file named|files named)",
        absent_file,
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name':"
        " '/models/model'. Use `repo_type` argument if needed.",
    ),
    # What surrounds the engine.
    cause(
        r"appears path-like, but doesn't exist|looks like a file path, but it failed to be opened|"
        r"Error when compiling Jinja template",
        says("BadChatTemplate", "spec.engine.extraArgs", "a chat template that is in the image or inline"),
        "vllm.exceptions.VLLMValidationError: The supplied chat template (/x.jinja) appears path-like, but doesn't exist!",
    ),
    cause(
        r"Address already in use",
        says("PortInUse", "spec.engine.extraArgs", "remove what takes the port"),
        "OSError: [Errno 98] Address already in use",
    ),
    cause(
        r"is less than desired CPU memory utilization|is less than requested memory for kv",
        says("HostOutOfMemory", "spec.engine.kvCacheMemory", "a smaller size, or a node with more memory"),
        "ValueError: Available memory on node 0 (10.1/23.4 GiB) on startup is less than desired CPU memory utilization"
        " (0.92, 21.53 GiB).",
    ),
    cause(
        r"Bus error|unable to open shared memory object|DefaultCPUAllocator: can't allocate memory",
        says("HostOutOfMemory", "spec.resources.memory", _SHARED),
        "RuntimeError: unable to open shared memory object </torch_31_20> in read-write mode",
    ),
    cause(
        r"NCCL error: |DistBackendError|ncclSystemError|ncclInternalError|ncclRemoteError|The client socket has timed out|"
        r"DistStoreError",
        says(
            "EngineDied",
            "",
            "it is started again; set NCCL_DEBUG=INFO in spec.engine.env and look at the node if it comes back",
        ),
        "torch.distributed.DistBackendError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
    ),
    cause(
        r"Timed out waiting for engine core processes to start",
        says("StartTimeout", "spec.engine.startTimeoutSeconds", "a longer time"),
        "TimeoutError: Timed out waiting for engine core processes to start. This is often caused by slow weight loading",
    ),
    # Last: what many failures print beside their cause.
    cause(
        r"validation errors? for (\w{1,60})\n(?:(\w{1,80})\n)? {2}([^\n]{1,2000})",
        refused_setting,
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for CacheConfig\nblock_size\n"
        "  Input should be greater than 0 [type=greater_than, input_value=0, input_type=int]",
    ),
    cause(
        r"!!!!!!! (\w{1,40}) encountered !!!!!!!|Fatal Python error: ([^\n]{1,200})",
        crashed,
        "!!!!!!! Segfault encountered !!!!!!!",
    ),
    cause(
        r"Worker proc (\S{1,60}) died unexpectedly \(exit code: (-?\d{1,3}|None)\)",
        process_ended,
        "(EngineCore pid=9) ERROR 11-24 02:10:11 [multiproc_executor.py:315] Worker proc VllmWorker-0 died unexpectedly"
        " (exit code: -9), shutting down executor.",
    ),
    cause(
        r"(?:Failed core proc\(s\)|[Ee]nded processes): \{'(\w{1,60})': (-?\d{1,3})",
        process_ended,
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -11}",
    ),
    cause(
        r"RPC call to \w{1,60} timed out",
        says("EngineStalled", "", "it is started again; look at the node if it comes back"),
        "TimeoutError: RPC call to execute_model timed out.",
    ),
    cause(
        r"EngineCore encountered (?:an issue|a fatal error)|EngineDeadError|died unexpectedly",
        says("EngineDied", "", "it is started again; read its log if it comes back"),
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.",
    ),
)
