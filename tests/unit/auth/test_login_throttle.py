"""Addresses of one network share a limit."""

import pytest

from aiapi_service.auth.login_throttle import network


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("testclient", "unknown"),
        ("", "unknown"),
        ("1.2.3.4, 5.6.7.8", "unknown"),
    ],
)
def test_the_network_of_an_address(address: str, counted: str) -> None:
    assert network(address) == counted


def test_addresses_of_an_ipv6_64_share_a_limit() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:ffff")
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
