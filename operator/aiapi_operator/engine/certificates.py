"""X.509 certificates of the pods' admin port. Pure, but for the keys, which are random."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = 86_400.0
CA_LIFE = 3650 * _DAY
SERVING_LIFE = 90 * _DAY
BACKDATE = 3600.0
"""Seconds that a new certificate is valid before now, for clocks that differ."""
_RENEW_AT = 2 / 3
"""Part of its life after which a certificate is replaced."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate begins and ends, in seconds since 1970."""

    begins: float
    ends: float

    @property
    def created(self) -> float:
        """When the certificate was made."""
        return self.begins + BACKDATE

    @property
    def renew_at(self) -> float:
        """When the certificate is replaced."""
        return self.begins + _RENEW_AT * (self.ends - self.begins)


def new_ca(now: float) -> KeyPair:
    """A CA that signs certificates of pods only. Its name differs from that of every other CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"aiapi-operator admin CA {identifier.digest.hex()[:16]}")
    certificate = (
        _builder(name, name, key, _validity(now, CA_LIFE))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue(ca: KeyPair, host: str, now: float) -> KeyPair:
    """A certificate for the servers of one host name. It does not outlive the CA."""
    issuer = x509.load_pem_x509_certificate(ca.certificate.encode())
    wanted = _validity(now, SERVING_LIFE)
    ends = min(wanted.ends, validity(ca.certificate).ends)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("aiapi admin port"), issuer.subject, key, Validity(wanted.begins, ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(_issued_by(issuer), critical=False)
        .sign(_load_key(ca.key), hashes.SHA256())
    )
    return _pair(certificate, key)


def validity(certificate: str) -> Validity:
    """When the certificate is valid. Raises ValueError when it is malformed."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    return Validity(loaded.not_valid_before_utc.timestamp(), loaded.not_valid_after_utc.timestamp())


def is_pair(pair: KeyPair) -> bool:
    """Whether certificate and key are well formed and belong together."""
    try:
        public = x509.load_pem_x509_certificate(pair.certificate.encode()).public_key()
        return public == _load_key(pair.key).public_key()
    except (TypeError, ValueError):
        return False


def is_for(pair: KeyPair, ca: str, host: str) -> bool:
    """Whether the CA signed this certificate for this host."""
    if not is_pair(pair):
        return False
    loaded = x509.load_pem_x509_certificate(pair.certificate.encode())
    try:
        loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.encode()))
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    return names.get_values_for_type(x509.DNSName) == [host]


def _validity(now: float, life: float) -> Validity:
    return Validity(now - BACKDATE, now + life)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(valid.begins))
        .not_valid_after(_time(valid.ends))
    )


def _time(seconds: float) -> datetime:
    """Whole seconds, also before 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issued_by(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _load_key(text: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not an EC key")  # noqa: TRY004 - the data is wrong
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
