"""Quantities, as Kubernetes writes them."""

from decimal import Decimal

import pytest

from fairlead_operator.api.fields import amount


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("1Gi", 2**30, id="binary suffix"),
        pytest.param("1G", 10**9, id="decimal suffix"),
        pytest.param("500m", Decimal("0.5"), id="a thousandth is lower case"),
        pytest.param("1.5Ti", Decimal("1.5") * 2**40, id="a fraction"),
        pytest.param(4, 4, id="a bare integer"),
        pytest.param("2E", 2 * 10**18, id="exa, not an exponent"),
    ],
)
def test_amount(written: int | str, expected: Decimal) -> None:
    assert amount(written) == expected


@pytest.mark.parametrize("text", ["", "Gi", "-1Gi", "1e9", "1 Gi", "1gi", "5Gi\n"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        amount(text)
