"""Why an engine did not start or went away, in words a user can act on. Pure, standard library only."""

import re
from dataclasses import dataclass

#: Every code that a record can carry; the operator maps each to a condition.
CODES = frozenset(
    {
        *("BadArgument", "BadChatTemplate", "ContextTooLong", "DiskFull", "DriverTooOld", "EngineDied"),
        *("EngineStalled", "HostOutOfMemory", "HubUnreachable", "InvalidConfig", "KVCacheTooSmall", "ModelNotFound"),
        *("NotEnoughGPUs", "OutOfGPUMemory", "PermissionDenied", "PortInUse", "RemoteCodeRequired"),
        *("RevisionNotFound", "SettingIgnored", "StartTimeout", "TensorParallelMismatch", "Unauthorized"),
        *("UnknownEngineArgument", "UnknownFailure", "UnsupportedArchitecture", "UnsupportedQuantization"),
        *("UnsupportedSetting", "WeightsCorrupt"),
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """code: one of CODES. message: one or two sentences with the engine's own numbers. field: the path in the InferenceService
    that changes it, "" when no field does. suggestion: a value for that field, or a sentence.
    """

    code: str
    message: str
    field: str = ""
    suggestion: str = ""


_SECRETS = (
    (re.compile(r"hf_[A-Za-z0-9]{8,}"), "hf_***"),
    (re.compile(r"(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{4,}"), r"\1***"),
    (re.compile(r"(://)[^/\s@:]{1,256}:[^/\s@]{1,256}@"), r"\1***@"),
    # Of signed addresses: S3, GCS, CloudFront and Azure put the signature into the query.
    (re.compile(r"(?i)([?&](?:[a-z0-9-]{0,40}(?:signature|credential|security-token)|sig)=)[^&\s'\"]{4,}"), r"\1***"),
    (
        re.compile(r"(?i)((?:api[-_]?key|token|password|secret)['\"]?\s{0,4}[=:]\s{0,4}['\"]?)[^\s'\",]{4,}"),
        r"\1***",
    ),
)


def redact(text: str) -> str:
    """`text` without tokens, keys and passwords."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
