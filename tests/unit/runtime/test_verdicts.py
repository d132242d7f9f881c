"""Failures under the field that the user set: of what a profile chose, that is the profile."""

import pytest

from fairlead_runtime.failure import Failure
from fairlead_runtime.profiles import Chosen
from fairlead_runtime.verdicts import ignored, of_the_profile

FP8 = Chosen("LatencyFP8", {"quantization": "fp8"}, {"--performance-mode": "interactivity"})
QUANTIZATION, PROFILE, ARGUMENTS = "spec.engine.quantization", "spec.engine.profile", "spec.engine.extraArgs"


@pytest.mark.parametrize(
    ("failure", "decided", "field", "said"),
    [
        pytest.param(
            Failure("UnsupportedQuantization", "the model is quantized with gptq and fp8 was asked for", QUANTIZATION, "gptq"),
            FP8,
            PROFILE,
            "fp8 was asked for; spec.engine.profile LatencyFP8 sets quantization to fp8",
            id="a field that the profile set",
        ),
        pytest.param(
            Failure("UnknownEngineArgument", "the engine does not know the argument --performance-mode=x", ARGUMENTS),
            FP8,
            PROFILE,
            "spec.engine.profile LatencyFP8 sets it",
            id="an argument that the profile set",
        ),
        pytest.param(
            Failure("SettingIgnored", "spec.engine.quantization asks for fp8", QUANTIZATION, "None, or leave it out"),
            FP8,
            PROFILE,
            "LatencyFP8 sets quantization to fp8",
            id="a field that the engine ignored",
        ),
        pytest.param(
            Failure("UnsupportedQuantization", "gptq", QUANTIZATION),
            Chosen("LatencyFP8", {}, {}),
            QUANTIZATION,
            "gptq",
            id="a field that the spec set itself",
        ),
        pytest.param(Failure("BadArgument", "--seed", ARGUMENTS), FP8, ARGUMENTS, "--seed", id="another argument"),
        pytest.param(
            Failure("EngineDied", "it was given --performance-mode", ""), FP8, "", "it was", id="a failure that only mentions it"
        ),
    ],
)  # fmt: skip
def test_what_a_profile_set_is_told_under_its_name(failure: Failure, decided: Chosen, field: str, said: str) -> None:
    told = of_the_profile(failure, decided)

    assert (told.code, told.field) == (failure.code, field)
    assert said in told.message
    assert (told.suggestion.startswith("another profile")) == (field == PROFILE)


def test_a_flag_of_a_profile_that_the_engine_ignored() -> None:
    assert ignored([(PROFILE, "--stream-interval=8", 1)]) == Failure(
        "SettingIgnored",
        "spec.engine.profile asks for --stream-interval=8 and the engine runs with 1",
        PROFILE,
        "another profile",
    )
