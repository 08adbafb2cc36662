"""Service account tokens: one per pod that mounts one, revoked when the pod is removed."""

import secrets

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.kubeconfig import kubeconfig
from aiapi_sandbox.node.pod_files import PodCredentials


class ServiceAccountTokens:
    """Issues and revokes tokens at the API server."""

    def __init__(self, server: ApiServer, ca: bytes) -> None:
        self._server = server
        self._ca = ca

    def issue(self, namespace: str, account: str) -> PodCredentials:
        """Issue a token for a service account, and a kubeconfig that uses it."""
        token = secrets.token_urlsafe(32)
        self._server.authenticator.add(token, f"system:serviceaccount:{namespace}:{account}")
        config: Obj = kubeconfig(url=self._server.url, token=token, ca=self._ca)
        config["contexts"][0]["context"]["namespace"] = namespace
        return PodCredentials(token=token, kubeconfig=config)

    def revoke(self, credentials: PodCredentials) -> None:
        """Invalidate the token."""
        self._server.authenticator.remove(credentials.token)
