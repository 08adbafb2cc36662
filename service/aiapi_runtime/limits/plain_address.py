"""Addresses as an app expects them: a socket for IPv6 and IPv4 reports `::ffff:192.0.2.1`."""

_MAPPED = "::ffff:"

Address = tuple[str, int] | None


def plain_address(address: Address) -> Address:
    """The address, an IPv4 one without its IPv6 prefix."""
    if address is None or not address[0].startswith(_MAPPED):
        return address
    return address[0].removeprefix(_MAPPED), address[1]
