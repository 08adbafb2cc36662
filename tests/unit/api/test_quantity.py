from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.api.quantity import (
    Quantity,
    format_cpu,
    format_memory,
    is_quantity,
    parse_bytes,
    parse_cores,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        (2, "2"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("256Mi", "268435456"),
        ("1.5Gi", "1610612736"),
        (".5", "0.5"),
        ("1k", "1000"),
        ("100n", "0.0000001"),
    ],
)
def test_parses_kubernetes_notation(text: Quantity, number: str) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "-1", -1, "1KB", "1 Gi", "lots", "1e", "1Gi\n", "9" * 25, "."]
)
def test_rejects_invalid_quantities_with_examples(text: Quantity) -> None:
    assert not is_quantity(text)
    with pytest.raises(ValueError, match=r"500m, 2, 256Mi or 1\.5Gi"):
        parse_quantity(text)


def test_reads_cores_and_bytes() -> None:
    assert parse_cores("250m") == 0.25
    assert parse_bytes("1.5Ki") == 1536
    assert parse_bytes("1500m") == 2


@given(st.integers(min_value=1, max_value=10**9))
def test_cpu_survives_the_round_trip(milli: int) -> None:
    assert parse_quantity(format_cpu(Decimal(milli) / 1000)) * 1000 == milli


@given(st.integers(min_value=0, max_value=2**50))
def test_memory_survives_the_round_trip(octets: int) -> None:
    assert parse_bytes(format_memory(octets)) == octets


def test_formats_as_the_api_server_does() -> None:
    assert [format_cpu(c) for c in (0.5, 2, 1.5)] == ["500m", "2", "1500m"]
    assert [format_memory(b) for b in (2**30, 256 * 2**20, 1000)] == ["1Gi", "256Mi", "1000"]
