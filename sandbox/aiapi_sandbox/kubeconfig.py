"""The kubeconfig that the sandbox writes for its users and pods."""

from __future__ import annotations

import base64


def kubeconfig(*, url: str, token: str, ca: bytes | None) -> dict[str, object]:
    """Return a kubeconfig. It contains a token: write it with mode 0600."""
    cluster: dict[str, str] = {"server": url}
    if ca:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": "sandbox", "user": {"token": token}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "current-context": "sandbox",
    }
