"""What can be read as a Postgres URL. asyncpg reads it when it connects, and quotes what it finds
wrong: with a password that is not percent-encoded, that is the password."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES = ("postgresql://", "postgres://")
_HOST = re.compile(r"(?P<name>\[[^\[\]]+\]|[^\[\]:]+)(:(?P<port>[^:]*))?")
_LAST_PORT = 65535


def is_postgres_url(url: str) -> bool:
    """Whether it can be connected by, as far as that can be known from the URL alone."""
    if not url.startswith(_SCHEMES):
        return False
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    # Each of these is the rest of a password, after a character that ends what is before the host.
    if "@" in user or "@" in parts.path or "#" in url:
        return False
    ports = (port for value in query.get("port", ()) for port in value.split(","))
    named = (hosts, *query.get("host", ()))
    return all(map(_hosts, named)) and all(map(_port, ports))


def _hosts(text: str) -> bool:
    return not text or all(map(_host, text.split(",")))


def _host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return text.startswith("/") or (found is not None and _port(found["port"] or ""))


def _port(text: str) -> bool:
    digits = unquote(text)
    return not digits or (
        digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) <= _LAST_PORT
    )
