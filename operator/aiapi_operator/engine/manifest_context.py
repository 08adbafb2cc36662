"""What the manifests of an AIApi need besides it, from the operator's configuration. Pure."""

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.ports import OperatorConfig
from aiapi_operator.manifests import Context


def manifest_context(
    config: OperatorConfig, *, template_workers: int, deployment: Manifest | None
) -> Context:
    """The context; ``deployment`` is the present one."""
    return Context(
        operator_namespace=config.operator_namespace,
        default_image=config.default_image,
        image_pull_secrets=config.image_pull_secrets,
        template_workers=template_workers,
        resize_in_place=config.resize_in_place,
        assigns_users=config.assigns_users,
        mesh=config.mesh,
        metrics_from=config.metrics_from,
        admin_tls=config.admin_tls,
        runtime=config.runtime,
        keep_delivery=config.keep_delivery,
        deployment=deployment,
    )
