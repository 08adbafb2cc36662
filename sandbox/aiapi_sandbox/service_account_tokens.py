"""Tokens for pods that mount their service account: one a pod, worth nothing after it."""

import secrets

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apiserver.server import ApiServer
from aiapi_sandbox.apiserver.tls import kubeconfig
from aiapi_sandbox.node.pod_files import PodCredentials


class ServiceAccountTokens:
    """Grants and revokes them at the API server."""

    def __init__(self, server: ApiServer, ca: bytes) -> None:
        self._server = server
        self._ca = ca

    def grant(self, namespace: str, account: str) -> PodCredentials:
        """Let a pod in under its service account's name."""
        token = secrets.token_urlsafe(32)
        self._server.add_user(token, f"system:serviceaccount:{namespace}:{account}")
        config: Obj = kubeconfig(url=self._server.url, token=token, ca=self._ca)
        config["contexts"][0]["context"]["namespace"] = namespace
        return PodCredentials(token=token, kubeconfig=config)

    def revoke(self, access: PodCredentials) -> None:
        """Let it in no more."""
        self._server.remove_user(access.token)
