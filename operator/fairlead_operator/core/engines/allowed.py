"""Which of vLLM's arguments users may pass on, by destination: an allow-list, and for what is refused the reason.

A destination that a version adds is refused until it stands here: a test asks for that with every dump that is shipped. What a
field of the resource sets is in fairlead_runtime/flags.py.
"""

from collections.abc import Mapping
from typing import Final

_PORTS: Final = "ports and addresses belong to the runtime"
_GUARD: Final = "the serving port is guarded by the runtime"
_NODES: Final = "a replica runs in one pod on one node"
_CODE: Final = "it loads code that nobody reviewed; only spec.model.trustRemoteCode does that"
_LOGS: Final = "the runtime reads the engine's log and counters to see that it works"
_FILES: Final = "it reaches files or hosts beyond the model"

#: Destination -> why it is refused.
CLOSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "host", "port", "uds", "api_server_count", "grpc", "grpc_port", "root_path", "kv_events_config",
            "data_parallel_supervisor_port", "dp_supervisor_probe_interval_s", "dp_supervisor_probe_timeout_s",
            "dp_supervisor_probe_failure_threshold",
        ),
        _PORTS,
    ),
    **dict.fromkeys(
        (
            "ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_cert_reqs", "ssl_ciphers", "enable_ssl_refresh",
            "middleware", "allow_credentials", "allowed_origins", "allowed_methods", "allowed_headers",
            "h11_max_incomplete_event_size", "h11_max_header_count", "disable_fastapi_docs",
            "enable_offline_docs", "tokens_only",
        ),
        _GUARD,
    ),
    **dict.fromkeys(
        (
            "headless", "nnodes", "node_rank", "master_addr", "master_port", "distributed_executor_backend",
            "data_parallel_size", "data_parallel_rank", "data_parallel_start_rank", "data_parallel_size_local",
            "data_parallel_address", "data_parallel_rpc_port", "data_parallel_backend",
            "data_parallel_external_lb", "data_parallel_hybrid_lb", "data_parallel_multi_port_external_lb",
            "device_ids", "enable_elastic_ep", "enable_scale_out", "elastic_ep_max_dp_size",
            "prefill_context_parallel_size", "decode_context_parallel_size", "ray_workers_use_nsight",
            "enable_fault_tolerance", "fault_tolerance_config",
        ),
        _NODES,
    ),
    **dict.fromkeys(
        (
            "worker_cls", "worker_extension_cls", "scheduler_cls", "logits_processors", "tool_parser_plugin",
            "reasoning_parser_plugin", "io_processor_plugin", "weight_transfer_config", "model_class_overrides",
            "ec_manager_config",
        ),
        _CODE,
    ),
    **dict.fromkeys(
        (
            "disable_log_stats", "log_config_file", "logging_config", "log_level", "uvicorn_log_level",
            "disable_uvicorn_access_log", "disable_access_log_for_endpoints",
        ),
        _LOGS,
    ),
    **dict.fromkeys(
        (
            "config", "allowed_local_media_path", "tool_server", "profiler_config",
            "mm_encoder_fp8_scale_path", "mm_encoder_fp8_scale_save_path",
        ),
        _FILES,
    ),
    **dict.fromkeys(
        (
            "help",
        ),
        "the engine would print its help and exit",
    ),
}  # fmt: skip

#: Of destinations that may be set, keys of their JSON that may not, at any depth -> why.
CLOSED_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "kv_transfer_config": {"kv_connector_module_path": _CODE, "kv_port": _PORTS, "kv_ip": _PORTS},
    "ec_transfer_config": {"ec_connector_module_path": _CODE, "ec_port": _PORTS, "ec_ip": _PORTS},
    "structured_outputs_config": {"reasoning_parser_plugin": _CODE},
    "compilation_config": {
        # Both import what they are given by name.
        "backend": _CODE,
        "inductor_passes": _CODE,
        "debug_dump_path": _FILES,
        "cache_dir": _FILES,
        "local_cache_dir": _FILES,
    },
}

#: What may be set: it changes how the engine computes and answers, and nothing around it.
ALLOWED: Final = frozenset(
    {
        "additional_config", "aggregate_engine_logging", "all2all_backend", "allow_deprecated_quantization",
        # Unset, the engine fetches what a request names from any host.
        "allowed_media_domains",
        "anthropic_disabled_thinking_effort", "async_scheduling", "attention_backend", "attention_config",
        "aux_output_config", "calculate_kv_scales", "chat_template", "chat_template_content_format",
        "code_revision", "cohere_format", "cohere_is_reasoning_model", "collect_detailed_traces",
        "compilation_config", "config_format", "convert", "cp_kv_cache_interleave_size",
        "cpu_distributed_timeout_seconds", "cpu_offload_gb", "cpu_offload_params", "cudagraph_capture_sizes",
        "cudagraph_metrics", "custom_histogram_buckets", "dbo_decode_token_threshold",
        "dbo_prefill_token_threshold", "dcp_comm_backend", "dcp_kv_cache_interleave_size", "dcp_q_replicate",
        "default_chat_template_kwargs", "default_mm_loras", "diffusion_config", "disable_cascade_attn",
        "disable_chunked_mm_input", "disable_custom_all_reduce", "disable_hybrid_kv_cache_manager",
        "disable_nccl_for_dp_synchronization", "disable_sliding_window", "distributed_timeout_seconds",
        "dp_sync_interval", "ec_transfer_config", "enable_auto_tool_choice", "enable_batch_sharded_sampling",
        "enable_bf16x3_router_gemm", "enable_cumem_allocator", "enable_dbo", "enable_ep_weight_filter",
        "enable_eplb", "enable_expert_parallel", "enable_flash_late_interaction", "enable_flashinfer_autotune",
        "enable_force_include_usage", "enable_hc_sp", "enable_layerwise_nvtx_tracing", "enable_log_deltas",
        "enable_log_outputs", "enable_log_requests", "enable_logging_iteration_details", "enable_lora",
        "enable_mamba_cache_stochastic_rounding", "enable_mamba_shared_prefix_checkpoint", "enable_mfu_metrics",
        "enable_mixed_moe_lora_format", "enable_mm_embeds", "enable_moe_shared_loras",
        "enable_nccl_comm_suspend", "enable_per_request_metrics", "enable_prompt_embeds",
        "enable_prompt_tokens_details", "enable_request_id_headers", "enable_return_routed_experts",
        "enable_server_load_tracking", "enable_shm_tensor_arena", "enable_sleep_mode",
        "enable_tokenizer_info_endpoint", "enable_tower_connector_lora", "enable_trace_replay", "enforce_eager",
        "engram_config", "eplb_config", "exclude_tools_when_tool_choice_none", "expert_placement_strategy",
        "fail_on_environ_validation", "fingerprint_mode", "fingerprint_value", "fully_sharded_loras",
        "gdn_prefill_backend", "generation_config", "hf_config_path", "hf_overrides", "ignore_patterns",
        "interleave_mm_strings", "ir_op_priority", "jit_monitor_mode", "jit_monitor_verbose",
        "kda_decode_backend", "kda_prefill_backend", "kernel_config", "kv_cache_dtype_skip_layers",
        "kv_cache_metrics", "kv_cache_metrics_sample", "kv_offloading_backend", "kv_offloading_size",
        "kv_sharing_fast_prefill", "kv_transfer_config", "language_model_only", "limit_mm_per_prompt",
        "linear_backend", "load_format", "log_error_stack", "logprobs_mode", "long_prefill_token_threshold",
        "long_prefill_token_threshold_adaptive", "lora_dtype", "lora_modules", "lora_target_modules",
        "mamba_backend", "mamba_block_size", "mamba_cache_dtype", "mamba_cache_mode",
        "mamba_cache_philox_rounds", "mamba_ssm_cache_dtype", "mamba_ssu_algorithm", "max_cpu_loras",
        "max_cudagraph_capture_size", "max_log_len", "max_logprobs", "max_long_partial_prefills",
        "max_lora_cls_labels", "max_lora_rank", "max_loras", "max_num_active_seqs", "max_num_partial_prefills",
        "max_num_queued_reqs", "max_num_queued_tokens", "max_num_scheduled_tokens",
        "max_parallel_loading_workers", "media_io_kwargs", "mm_device_do_normalize", "mm_encoder_attn_backend",
        "mm_encoder_attn_dtype", "mm_encoder_fp8_scale_save_margin", "mm_encoder_only", "mm_encoder_tp_mode",
        "mm_hasher_algorithm", "mm_ipc_gpu_memory_gb", "mm_processor_cache_gb", "mm_processor_cache_type",
        "mm_processor_device", "mm_processor_kwargs", "mm_shm_cache_max_object_size_mb", "mm_tensor_ipc",
        "model_impl", "model_loader_extra_config", "moe_backend", "monokernel", "num_gpu_blocks_override",
        "numa_bind", "numa_bind_cpus", "numa_bind_nodes", "offload_backend", "offload_group_size",
        "offload_num_in_group", "offload_params", "offload_prefetch_step", "optimization_level",
        "otlp_traces_endpoint", "override_attention_dtype", "override_generation_config",
        "per_request_spec_decode_metrics", "performance_mode", "pooler_config", "prefill_schedule_interval",
        "prefix_cache_retention_interval", "prefix_caching_hash_algo", "prefix_match_unit",
        "pt_load_map_location", "quantization_config", "reasoning_config", "reasoning_effort_map",
        "reasoning_parser", "renderer_num_workers", "replayssm_buffer_len", "response_role",
        "return_sampling_mask", "return_tokens_as_token_ids", "runner", "safetensors_load_strategy",
        "safetensors_prefetch_block_size", "safetensors_prefetch_num_threads", "scheduler_reserve_full_isl",
        "scheduling_policy", "show_hidden_metrics_for_version", "skip_mm_profiling", "skip_tokenizer_init",
        "sleep_mode_backend", "sleep_mode_offload_cudagraph", "sleep_preserve_parameter_names",
        "sparse_indexer_topk_backend", "specialize_active_lora", "sse_keep_alive_interval", "stream_interval",
        "structured_outputs_config", "swa_bounded_replay", "tokenizer", "tokenizer_mode", "tool_call_parser",
        "tool_strict_level", "trust_request_chat_template", "trust_request_mm_kwargs", "ubatch_size",
        "use_fp64_gumbel", "use_replayssm", "use_tqdm_on_load", "video_pruning_method", "video_pruning_rate",
        "watchdog_config", "watermark", "watermark_config",
    }
)  # fmt: skip

#: Destination -> another one that vLLM wants set with it (validate_parsed_serve_args), and the flag for that.
NEEDED: Final[Mapping[str, tuple[str, str]]] = {
    "enable_auto_tool_choice": ("tool_call_parser", "--tool-call-parser"),
    "enable_log_outputs": ("enable_log_requests", "--enable-log-requests"),
}
