"""Flags of TensorFlow Serving's that are taken where they ask for what is so anyway, and refused by name elsewhere."""

from exporter.command import UserError

_OFF = ("false", "0")
_EITHER = ("true", "1", *_OFF)
# Flag: the values that change nothing here.
_INERT = {
    "--enable_per_model_batching_parameters": _OFF,
    "--enable_profiler": _OFF,
    "--enable_signature_method_name_check": _OFF,
    "--enforce_session_run_timeout": _OFF,
    "--flush_filesystem_caches": _EITHER,  # this server keeps none of its own
    "--num_unload_threads": ("0", "1"),
    "--per_process_gpu_memory_fraction": ("0",),
    "--platform_config_file": ("",),
    "--prefer_tflite_model": _OFF,
    "--remove_unused_fields_from_bundle_metagraph": _EITHER,  # they are not kept in memory
    "--saved_model_tags": ("serve",),
    "--skip_initialize_tpu": _EITHER,  # there is none
    "--thread_pool_factory_config_file": ("",),
    "--use_tflite_model": _OFF,
    "--xla_cpu_compilation_enabled": _OFF,
}


def drop_inert_flags(arguments: list[str]) -> list[str]:
    """Leave out these flags. Raises UserError for another value of one of them."""
    return [argument for argument in arguments if not _is_inert(argument)]


def _is_inert(argument: str) -> bool:
    flag, equals, value = argument.partition("=")
    if flag not in _INERT:
        return False
    given = value.lower() if equals else "true"
    if given not in _INERT[flag]:
        raise UserError(
            f"{flag}={given} cannot be honoured; this server takes {' or '.join(_INERT[flag]) or 'nothing'}"
        )
    return True
