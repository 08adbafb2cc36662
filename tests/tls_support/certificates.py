"""Certificate authorities as clusters have them, and an API server's certificate from each."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
_CA = x509.BasicConstraints(ca=True, path_length=None)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """A server for 127.0.0.1 with a certificate of this issuer."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            _builder("kube-apiserver", self.certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = folder / "server.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def without_key_usage() -> Issuer:
    """A CA with basicConstraints, but without keyUsage and key identifiers."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("kubernetes", name("kubernetes"), key).add_extension(_CA, critical=True)
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def with_basic_constraints_not_critical() -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("kubernetes", name("kubernetes"), key).add_extension(_CA, critical=False)
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def intermediate() -> Issuer:
    """A CA of the cluster that a company's CA signed. Clients get the cluster's alone."""
    root, key = without_key_usage(), ec.generate_private_key(ec.SECP256R1())
    builder = _builder("cluster", root.certificate.subject, key).add_extension(_CA, critical=True)
    return Issuer(builder.sign(root.key, hashes.SHA256()), key)
