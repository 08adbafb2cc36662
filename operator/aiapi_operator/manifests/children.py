"""All children of an AIApi, in the order in which they are applied."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import (
    deployment,
    network_policy,
    pod_disruption_budget,
    service,
    service_account,
)
from aiapi_operator.manifests.context import Context


def desired(aiapi: AIApi, context: Context) -> tuple[dict[str, Any], ...]:
    """All children except the Secret, which is created once (``secret.build``).

    The Deployment comes last, because its pods need the others.
    """
    return (
        service_account.build(aiapi, context),
        service.build(aiapi),
        network_policy.build(aiapi, context),
        pod_disruption_budget.build(aiapi),
        deployment.build(aiapi, context),
    )
