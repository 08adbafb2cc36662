"""The rotation of the CA, with time as data: at no moment is an issuer in use not trusted."""

from dataclasses import replace

import pytest
from cryptography import x509

from aiapi_operator.engine import authority, certificates
from aiapi_operator.engine.authority import OVERLAP, Authority, rotated
from aiapi_operator.engine.certificates import BACKDATE, CA_LIFE, SERVING_LIFE, KeyPair

NOW = 1_800_000_000.0
DAY = 86_400.0
HOST = "assistant.prod.aiapi.dev"
DUE = NOW - BACKDATE + (CA_LIFE + BACKDATE) * 2 / 3 + 1
"""When a CA that was made at NOW is two thirds through its life."""

FIRST = rotated(None, None, NOW)


def trusts(found: Authority, pair: KeyPair) -> bool:
    issuer = x509.load_pem_x509_certificate(pair.certificate.encode()).issuer
    roots = x509.load_pem_x509_certificates(found.trusted.encode())
    return issuer in [root.subject for root in roots]


def test_the_first_ca_signs_and_is_trusted_alone() -> None:
    assert FIRST.next is None
    assert FIRST.previous == ""
    assert FIRST.trusted == FIRST.signer.certificate
    (root,) = x509.load_pem_x509_certificates(FIRST.trusted.encode())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("age", [0.0, DAY, CA_LIFE / 2])
def test_a_young_ca_stays(age: float) -> None:
    assert rotated(FIRST, None, NOW + age) is FIRST
    assert rotated(FIRST, FIRST, NOW + age) is FIRST


def test_the_next_ca_is_trusted_for_a_day_before_it_signs() -> None:
    begun = rotated(FIRST, FIRST, DUE)
    assert begun.next is not None
    assert begun.signer == FIRST.signer
    assert begun.trusted == FIRST.signer.certificate + begun.next.certificate
    assert rotated(begun, begun, DUE + OVERLAP - 60) is begun
    promoted = rotated(begun, begun, DUE + OVERLAP + 60)
    assert promoted.signer == begun.next
    assert promoted.next is None
    assert promoted.previous == FIRST.signer.certificate
    assert FIRST.signer.key not in authority.write(promoted).values()


def test_the_previous_ca_is_trusted_until_its_last_certificate_has_ended() -> None:
    begun = rotated(FIRST, FIRST, DUE)
    promoted = rotated(begun, begun, DUE + OVERLAP + 60)
    last = certificates.issue(FIRST.signer, HOST, DUE + OVERLAP)
    ends = certificates.validity(last.certificate).ends
    assert rotated(promoted, promoted, ends - 60) is promoted
    alone = rotated(promoted, promoted, ends + 60)
    assert alone.trusted == promoted.signer.certificate


def test_each_certificate_in_use_is_trusted_through_a_whole_rotation() -> None:
    """Pods get a new certificate a day late, and the operator looks once in six hours."""
    found, serving, now = FIRST, certificates.issue(FIRST.signer, HOST, DUE - DAY), DUE - DAY
    signers = set()
    while now < DUE + 2 * OVERLAP + SERVING_LIFE:
        found = rotated(found, found, now)
        assert trusts(found, serving)
        signers.add(found.signer)
        if now >= certificates.validity(serving.certificate).renew_at + DAY:
            serving = certificates.issue(found.signer, HOST, now)
        now += DAY / 4
    assert len(signers) == 2
    assert found.previous == ""
    assert certificates.is_for(serving, found.signer.certificate, HOST)


def test_after_its_secret_was_deleted_a_new_ca_signs_and_the_old_one_stays_trusted() -> None:
    fresh = rotated(None, FIRST, NOW + DAY)
    assert fresh.signer != FIRST.signer
    assert fresh.trusted == fresh.signer.certificate + FIRST.signer.certificate
    assert rotated(fresh, fresh, NOW + DAY + SERVING_LIFE + OVERLAP - 60) is fresh
    assert rotated(fresh, fresh, NOW + DAY + SERVING_LIFE + OVERLAP + 60).previous == ""


def test_an_expired_ca_is_replaced_at_once() -> None:
    fresh = rotated(FIRST, None, NOW + CA_LIFE + 1)
    assert fresh.signer != FIRST.signer
    assert rotated(fresh, fresh, NOW + CA_LIFE + 2) is fresh


def test_the_secret_round_trips() -> None:
    begun = rotated(FIRST, FIRST, DUE)
    for found in (FIRST, begun, rotated(begun, begun, DUE + OVERLAP + 60)):
        assert authority.read(authority.write(found)) == found


@pytest.mark.parametrize(
    "change",
    [{"ca.crt": "%"}, {"ca.crt": ""}, {"ca.key": "bm8ga2V5"}, {"ca.key": None}],
    ids=["not-base64", "empty", "not-a-key", "null"],
)
def test_a_spoilt_secret_counts_as_deleted(change: dict[str, str]) -> None:
    assert authority.read({**authority.write(FIRST), **change}) is None
    assert authority.read({}) is None


def test_a_key_of_another_ca_counts_as_spoilt() -> None:
    other = certificates.new_ca(NOW)
    mixed = replace(FIRST, signer=KeyPair(FIRST.signer.certificate, other.key))
    assert authority.read(authority.write(mixed)) is None


def test_a_spoilt_previous_ca_is_dropped() -> None:
    data = authority.write(replace(FIRST, previous="nonsense"))
    assert authority.read(data) == FIRST
