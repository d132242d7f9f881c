"""The table of profiles, and what one of them decides where the spec is silent."""

from typing import Any

import pytest

from fairlead_operator.api.engine import Engine as Spec
from fairlead_runtime.config import Engine
from fairlead_runtime.flags import FIELDS
from fairlead_runtime.profiles import FLAGS, FP8, PROFILES, Profile, chosen

FP8_THROUGHPUT = {"quantization": "fp8", "kvCacheDtype": "fp8", "maxNumSeqs": 512}
INTERVAL = {"--stream-interval": 8}


@pytest.mark.parametrize(
    ("engine", "fields", "flags"),
    [
        pytest.param({}, {}, {}, id="no profile"),
        pytest.param({"profile": None}, {}, {}, id="none again"),
        pytest.param({"profile": "Balanced"}, {}, {}, id="the profile that sets nothing"),
        pytest.param({"profile": "Fastest"}, {}, {}, id="a profile of another release"),
        pytest.param({"profile": "ThroughputFP8"}, FP8_THROUGHPUT, INTERVAL, id="all of a profile"),
        pytest.param(
            {"profile": "ThroughputFP8", "maxNumSeqs": 1, "kvCacheDtype": "auto"},
            {"quantization": "fp8"},
            INTERVAL,
            id="fields that the spec sets are left out",
        ),
        pytest.param(
            {"profile": "ThroughputFP8", "seed": 0, "extraArgs": ["--enforce-eager"]},
            FP8_THROUGHPUT,
            INTERVAL,
            id="other fields and arguments change nothing",
        ),
        pytest.param(
            {"profile": "ThroughputFP8", "extraArgs": ["--stream-interval=1"]},
            FP8_THROUGHPUT,
            {},
            id="an argument that the user wrote is left out",
        ),
        pytest.param(
            {"profile": "ThroughputFP8", "extraArgs": ["-q", "awq", "--max_num_seqs=4"]},
            {"kvCacheDtype": "fp8"},
            INTERVAL,
            id="so is a field whose flag the user wrote, under any of its names",
        ),
    ],
)
def test_what_a_profile_decides(engine: dict[str, Any], fields: dict[str, Any], flags: dict[str, Any]) -> None:
    decided = chosen(engine)

    assert (decided.fields, decided.flags) == (fields, flags)


@pytest.mark.parametrize("profile", Profile)
def test_every_profile_is_made_of_fields_and_of_flags_without_a_field(profile: Profile) -> None:
    settings = PROFILES[profile]

    assert settings.trades.endswith(".")
    assert Engine.model_validate(settings.fields) != Engine() or not settings.fields
    assert {field.alias for field in Spec.model_fields.values()} >= set(settings.fields)
    assert not set(settings.flags) & set(FIELDS)


def test_unset_and_balanced_are_the_engines_own_defaults() -> None:
    balanced = PROFILES[Profile.BALANCED]

    assert (balanced.fields, balanced.flags) == ({}, {})


def test_the_profiles_that_quantize_say_so_in_their_name() -> None:
    assert set(FP8) == {profile for profile in Profile if profile.endswith("FP8")}
    assert all(flag.startswith("--") for flag in FLAGS)
