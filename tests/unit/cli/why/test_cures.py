"""From a failure's words to a field, a value and a command."""

from typing import Any

import pytest

from fairlead_cli.why.cures import Cure, Target, cure

TARGET = Target("mistral", "models")


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "mistral", "namespace": "models", "uid": "1"},
        "spec": {"model": {"uri": "hf://org/model"}, **spec},
    }


LENGTH = "spec.engine.maxModelLen"


@pytest.mark.parametrize(
    ("spec", "message", "field", "expected"),
    [
        pytest.param({"engine": {"maxModelLen": 4096}}, f"too long; set {LENGTH} to 3072", LENGTH, (LENGTH, 4096, 3072), id="a number is a number"),
        pytest.param({}, f"too long; set {LENGTH} to Auto", LENGTH, (LENGTH, None, "Auto"), id="a word where the field takes one"),
        pytest.param({}, f"too long; set {LENGTH} to 3072.", "", (LENGTH, None, 3072), id="the field is in the words, with a full stop behind"),
        pytest.param({}, "read the code, then set spec.model.trustRemoteCode to true", "", ("spec.model.trustRemoteCode", None, True), id="true is a boolean"),
        pytest.param({"engine": {"kvCacheMemory": "1Mi"}}, "set spec.engine.kvCacheMemory to 20Gi", "", ("spec.engine.kvCacheMemory", "1Mi", "20Gi"), id="a quantity is text"),
        pytest.param({}, f"set {LENGTH} to banana", LENGTH, (LENGTH, None, None), id="what the API refuses is no cure"),
        pytest.param({"engine": {"maxModelLen": 3072}}, f"set {LENGTH} to 3072", LENGTH, (LENGTH, 3072, None), id="what is there already cures nothing"),
        pytest.param({}, f"set {LENGTH} to 3072", "spec.engine.maxNumSeqs", ("spec.engine.maxNumSeqs", None, None), id="a value for another field is not this one's"),
        pytest.param({}, "raise spec.resources.memory", "", ("spec.resources.memory", None, None), id="no value known: the field alone"),
    ],
)  # fmt: skip
def test_the_field_its_value_and_the_one_that_would_do(
    spec: dict[str, Any], message: str, field: str, expected: tuple[str, Any, Any]
) -> None:
    found = cure(service(**spec), "KVCacheTooSmall", message, field, TARGET)

    assert found is not None
    assert (found.field, found.present, found.value) == expected
    assert ("patch" in found.command) == (expected[2] is not None)
    assert ("edit" in found.command) == (expected[2] is None)


@pytest.mark.parametrize("field", ["", "metadata.name"])
def test_where_no_field_of_the_spec_would_help_there_is_no_cure(field: str) -> None:
    assert cure(service(), "NameTaken", "Service mistral exists; delete or rename it", field, TARGET) is None


def test_a_spec_that_was_refused_before_is_not_judged_by_its_cure() -> None:
    broken = service(engine={"noSuchField": 1})

    found = cure(broken, "KVCacheTooSmall", f"set {LENGTH} to 3072", LENGTH, TARGET)

    assert found == Cure(LENGTH, None, None, TARGET.edit())


def test_a_missing_secret_is_made_and_one_without_the_key_is_not() -> None:
    guarded = service(serving={"apiKeySecretRef": {"name": "keys", "key": "team"}})
    field = "spec.serving.apiKeySecretRef"

    absent = cure(guarded, "SecretNotFound", "Secret keys does not exist; create it", field, TARGET)
    lacking = cure(guarded, "SecretNotFound", "Secret keys has no key team; add it", field, TARGET)

    assert absent is not None
    assert lacking is not None
    assert absent.command == "kubectl create secret generic keys --from-file=team=FILE -n models"
    assert lacking.command == TARGET.edit()


@pytest.mark.parametrize("reason", ["APIKeyMissing", "SecretNotFound"])
def test_no_change_of_the_spec_brings_a_generated_secret_back(reason: str) -> None:
    message = "Secret mistral-api-key-0123456789, which the operator makes for spec.serving.apiKey, does not exist"

    assert cure(service(serving={"apiKey": "Generate"}), reason, message, "", TARGET) is None


def test_a_path_of_another_object_is_no_field_of_the_service() -> None:
    message = 'each try to apply Service mistral fails: 500 InternalError: failed calling webhook "a": spec.ports is needed; repair it'

    assert cure(service(), "WriteFailed", message, "", TARGET) is None


def test_a_name_that_a_shell_would_read_is_quoted() -> None:
    assert (
        Target("mistral", "models", ("--context=a;b",)).edit() == "kubectl edit infs mistral -n models '--context=a;b'"
    )
