"""The CA of the pods' admin port, and how it is replaced without a gap. Pure.

The CA is replaced in three steps, so that a client always trusts the issuer of every certificate in
use: a next CA is trusted for a day before it signs, and the previous one for as long as a
certificate that it signed can be valid.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiapi_operator.engine import certificates
from aiapi_operator.engine.certificates import SERVING_LIFE, KeyPair, Validity

OVERLAP = 86_400.0
"""Seconds for which the next CA is trusted before it signs."""
_SIGNER, _NEXT, _PREVIOUS = "ca", "next", "previous"


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA that signs, and the others that clients trust."""

    signer: KeyPair
    next: KeyPair | None = None
    previous: str = ""
    """Certificate of the previous CA. Its key is gone, so that it signs nothing more."""

    @property
    def trusted(self) -> str:
        """The certificates that a client trusts, as PEM."""
        following = self.next.certificate if self.next is not None else ""
        return self.signer.certificate + following + self.previous


def rotated(found: Authority | None, known: Authority | None, now: float) -> Authority:
    """The CA to use now: ``found`` itself unless a step is due.

    ``known`` is the last one that this process used. After its Secret was deleted, a new CA signs
    at once, and the certificates in use stay trusted.
    """
    if found is None or _validity(found.signer).ends <= now:
        last = found or known
        return Authority(certificates.new_ca(now), previous=last.signer.certificate if last else "")
    if found.next is not None and now >= _validity(found.next).created + OVERLAP:
        return Authority(found.next, previous=found.signer.certificate)
    if found.next is None and now >= _validity(found.signer).renew_at:
        return replace(found, next=certificates.new_ca(now))
    if found.previous and now >= _validity(found.signer).created + OVERLAP + SERVING_LIFE:
        return replace(found, previous="")
    return found


def read(data: Mapping[str, str]) -> Authority | None:
    """The CA in a Secret's data; None where it is missing or malformed."""
    signer = _pair(data, _SIGNER)
    if signer is None:
        return None
    previous = _text(data, f"{_PREVIOUS}.crt")
    return Authority(signer, _pair(data, _NEXT), previous if _is_certificate(previous) else "")


def write(authority: Authority) -> dict[str, str]:
    """The data of the Secret."""
    texts = {
        f"{_SIGNER}.crt": authority.signer.certificate,
        f"{_SIGNER}.key": authority.signer.key,
    }
    if authority.next is not None:
        texts[f"{_NEXT}.crt"] = authority.next.certificate
        texts[f"{_NEXT}.key"] = authority.next.key
    if authority.previous:
        texts[f"{_PREVIOUS}.crt"] = authority.previous
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def _validity(pair: KeyPair) -> Validity:
    return certificates.validity(pair.certificate)


def _pair(data: Mapping[str, str], name: str) -> KeyPair | None:
    pair = KeyPair(_text(data, f"{name}.crt"), _text(data, f"{name}.key"))
    return pair if certificates.is_pair(pair) else None


def _text(data: Mapping[str, str], key: str) -> str:
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (KeyError, TypeError, ValueError):
        return ""


def _is_certificate(text: str) -> bool:
    try:
        certificates.validity(text)
    except ValueError:
        return False
    return True
