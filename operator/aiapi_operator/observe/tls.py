"""How the operator verifies the admin port of a pod.

It connects by address, and the certificate has the name of the AIApi that the pod belongs to. So
a token is only sent to a pod of this AIApi, whatever address a Pod object shows.
"""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PodTls:
    """The context and the name that verify one pod."""

    context: ssl.SSLContext
    server_hostname: str


def trusting(certificates: str) -> ssl.SSLContext:
    """A context that trusts these CAs and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=certificates)
    return context
