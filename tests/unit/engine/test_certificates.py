"""The certificates of pods: for one host, from one CA, replaced in time."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509

from aiapi_operator.engine import certificates
from aiapi_operator.engine.admin_tls import AdminTls, host
from aiapi_operator.engine.authority import Authority
from aiapi_operator.engine.certificates import SERVING_LIFE, KeyPair
from aiapi_operator.engine.serving import content, serving
from aiapi_operator.observe.tls import trusting

NOW = 1_800_000_000.0
DAY = 86_400.0
HOST = host("prod", "assistant")
CA, OTHER_CA = certificates.new_ca(NOW), certificates.new_ca(NOW)
TLS = AdminTls(Authority(CA), trusting(CA.certificate))
NOTHING = KeyPair("", "")


def test_a_certificate_is_for_its_host_and_from_its_ca() -> None:
    pair = certificates.issue(CA, HOST, NOW)
    assert HOST == "assistant.prod.aiapi.dev"
    assert certificates.is_for(pair, CA.certificate, HOST)
    assert not certificates.is_for(pair, CA.certificate, host("dev", "assistant"))
    assert not certificates.is_for(pair, OTHER_CA.certificate, HOST)
    assert not certificates.is_for(replace(pair, key=CA.key), CA.certificate, HOST)


@pytest.mark.parametrize("spoilt", [NOTHING, KeyPair("no", "pem"), CA])
def test_anything_else_is_no_certificate_of_a_pod(spoilt: KeyPair) -> None:
    assert not certificates.is_for(spoilt, CA.certificate, HOST)


def test_a_certificate_does_not_outlive_its_ca() -> None:
    end = certificates.validity(CA.certificate).ends
    late = certificates.issue(CA, HOST, end - DAY)
    assert certificates.validity(late.certificate).ends == end


def test_a_certificate_allows_an_hour_of_clock_difference() -> None:
    pair = certificates.issue(CA, HOST, NOW)
    loaded = x509.load_pem_x509_certificate(pair.certificate.encode())
    assert loaded.not_valid_before_utc == datetime.fromtimestamp(NOW - 3600, UTC)


@pytest.mark.parametrize(("age", "stays"), [(0.0, True), (59 * DAY, True), (61 * DAY, False)])
def test_a_certificate_is_replaced_after_two_thirds_of_its_life(age: float, stays: bool) -> None:
    first = serving(None, NOTHING, TLS, HOST, NOW)
    later = serving(first, first.pair, TLS, HOST, NOW + age)
    assert (later.pair == first.pair) is stays
    assert (serving(None, first.pair, TLS, HOST, NOW + age).pair == first.pair) is stays
    assert certificates.validity(later.pair.certificate).ends <= NOW + age + SERVING_LIFE


def test_a_checked_certificate_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = serving(None, NOTHING, TLS, HOST, NOW)
    monkeypatch.setattr(certificates, "is_for", None)
    assert serving(first, first.pair, TLS, HOST, NOW + DAY) is first


def test_a_certificate_is_replaced_when_another_ca_signs() -> None:
    first = serving(None, NOTHING, TLS, HOST, NOW)
    rotated = Authority(OTHER_CA, previous=CA.certificate)
    tls = AdminTls(rotated, trusting(rotated.trusted))
    second = serving(first, first.pair, tls, HOST, NOW)
    assert certificates.is_for(second.pair, OTHER_CA.certificate, HOST)
    assert content(second, tls).trusted == OTHER_CA.certificate + CA.certificate


def test_an_edited_certificate_is_replaced() -> None:
    first = serving(None, NOTHING, TLS, HOST, NOW)
    foreign = certificates.issue(OTHER_CA, HOST, NOW)
    for found in (foreign, KeyPair(first.pair.certificate, foreign.key), NOTHING):
        kept = serving(first, found, TLS, HOST, NOW)
        assert kept.pair != found
        assert certificates.is_for(kept.pair, CA.certificate, HOST)


def test_only_the_cas_of_the_operator_are_trusted() -> None:
    context = trusting(CA.certificate + OTHER_CA.certificate)
    assert len(context.get_ca_certs()) == 2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
