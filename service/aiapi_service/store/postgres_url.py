"""Validates Postgres URLs. asyncpg does so only on connect, and its errors may quote the password
when it is not percent-encoded."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES = ("postgresql://", "postgres://")
_HOST = re.compile(r"(?P<name>\[[^\[\]]+\]|[^\[\]:]+)(:(?P<port>[^:]*))?")
_MAX_PORT = 65535


def is_postgres_url(url: str) -> bool:
    """Whether the URL is valid, without connecting."""
    if not url.startswith(_SCHEMES):
        return False
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        return False
    user, _, hosts = parts.netloc.rpartition("@")
    # These characters come from a password that is not percent-encoded.
    if "@" in user or "@" in parts.path or "#" in url:
        return False
    ports = (port for value in query.get("port", ()) for port in value.split(","))
    all_hosts = (hosts, *query.get("host", ()))
    return all(map(_are_hosts, all_hosts)) and all(map(_is_port, ports))


def _are_hosts(text: str) -> bool:
    return not text or all(map(_is_host, text.split(",")))


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return text.startswith("/") or (found is not None and _is_port(found["port"] or ""))


def _is_port(text: str) -> bool:
    digits = unquote(text)
    return not digits or (
        digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) <= _MAX_PORT
    )
