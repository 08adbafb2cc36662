"""What the pods of an AIApi need in a service mesh whose proxies run in or before the pods.

The operator and the kubelet call the admin port directly, without the mesh's certificates. So it is
excluded from the mesh: the pod's token and the NetworkPolicy protect it. Requests stay in the mesh.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiapi_operator.manifests.ports import ADMIN


class Mesh(StrEnum):
    """The service mesh of the cluster."""

    NONE = "None"
    ISTIO = "Istio"
    LINKERD = "Linkerd"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needs:
    annotation: str
    """Annotation of pods that excludes inbound ports."""
    proxy_ports: tuple[int, ...]
    """Ports on which the proxies accept requests for the app."""
    metrics_ports: tuple[int, ...]
    """Ports on which the proxies serve their metrics."""


_NEEDS = {
    Mesh.ISTIO: _Needs(
        annotation="traffic.sidecar.istio.io/excludeInboundPorts",
        proxy_ports=(15008,),  # HBONE, in ambient mode
        metrics_ports=(15020, 15090),
    ),
    Mesh.LINKERD: _Needs(
        annotation="config.linkerd.io/skip-inbound-ports",
        proxy_ports=(4143,),
        metrics_ports=(4191,),
    ),
}


def annotations(mesh: Mesh) -> dict[str, str]:
    """Annotations of the pods."""
    return {_NEEDS[mesh].annotation: str(ADMIN.number)} if mesh in _NEEDS else {}


def proxy_ports(mesh: Mesh) -> tuple[int, ...]:
    """Ports that every peer may reach, besides HTTP."""
    return _NEEDS[mesh].proxy_ports if mesh in _NEEDS else ()


def metrics_ports(mesh: Mesh) -> tuple[int, ...]:
    """Ports that Prometheus may reach, besides the admin port."""
    return _NEEDS[mesh].metrics_ports if mesh in _NEEDS else ()
