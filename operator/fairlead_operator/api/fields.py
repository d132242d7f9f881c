"""The scalar types that several fields share: each carries its bounds into the CRD and into the parser alike."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

#: Kubernetes' quantity suffixes; https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES: Final[dict[str, int | Decimal]] = {
    "": 1,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "Ei": 2**60,
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
}
#: No sign: every quantity of this API is an amount. Exponents are left out: nobody writes memory as 1e9.
QUANTITY_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?$"
QUANTITY_LENGTH: Final = 32
DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
#: `example.com/name` or `name`: label keys, resource names and taint keys share this form.
QUALIFIED_NAME: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


class Model(BaseModel):
    """camelCase on the wire, frozen in the process; an attribute's docstring is its description in the CRD (schema.py)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        defer_build=True,  # `fairlead plan` answers at once: only the validator that is used is built, and only then
    )


def rule(expression: str, message: str, field: str = "") -> dict[str, str]:
    """One CEL rule of the CRD. `field` (".engine.seed") makes the API server name it in the refusal."""
    return {"rule": expression, "message": message, **({"fieldPath": field} if field else {})}


def rules(*each: dict[str, str]) -> dict[str, Any]:
    """The rules as `json_schema_extra` of a model or a field."""
    return {"x-kubernetes-validations": list(each)}


def amount(quantity: int | str) -> Decimal:
    """What a quantity stands for: 1Gi and 1024Mi are the same number. Raises ValueError on anything else."""
    text = str(quantity)
    if not re.fullmatch(QUANTITY_PATTERN, text):
        raise ValueError(f"{text!r} is not a quantity: write an integer or something like 500m, 20Gi or 1.5Ti")
    digits = text.rstrip("KMGTPEinumk")
    return Decimal(digits) * SUFFIXES[text[len(digits) :]]


def _positive(quantity: int | str) -> int | str:
    if len(str(quantity)) > QUANTITY_LENGTH:
        raise ValueError(f"must have at most {QUANTITY_LENGTH} characters")
    if amount(quantity) <= 0:
        raise ValueError("must be more than 0")
    return quantity


#: An amount of bytes or CPUs, as Kubernetes writes it. Kept as written; `amount` gives the number.
Quantity = Annotated[
    int | str,
    AfterValidator(_positive),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "maxLength": QUANTITY_LENGTH,
            **rules(
                rule(
                    "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
                    "must be a quantity of more than 0, such as 20Gi",
                )
            ),
        }
    ),
]
#: Name of an object in the same namespace.
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=QUALIFIED_NAME)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]
#: A word in the engine's own vocabulary; which words exist depends on the engine's version.
EngineWord = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
