"""IPv4 addresses as such, where a socket that listens on IPv6 and IPv4 prefixes them."""

_MAPPED = "::ffff:"

Address = tuple[str, int] | None


def plain_address(address: Address) -> Address:
    """The address, an IPv4 one without its IPv6 prefix."""
    if address is None or not address[0].startswith(_MAPPED):
        return address
    return address[0].removeprefix(_MAPPED), address[1]
