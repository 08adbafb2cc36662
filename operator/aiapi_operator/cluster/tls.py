"""How the API server's certificate is verified: as kubectl, Helm and the kubelet verify it.

Since Python 3.13, contexts are strict by default and reject a CA without keyUsage, which is what
OpenSSL makes by default. Before 3.13, they reject a trusted certificate that is not a root.
"""

import ssl


def accept_cluster_ca(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let the context trust each given CA, strictly formed or not. Signatures, names and dates are
    still verified."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
