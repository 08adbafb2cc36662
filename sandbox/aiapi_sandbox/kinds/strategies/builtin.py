"""The strategies of all built-in kinds."""

from __future__ import annotations

from aiapi_sandbox.kinds.strategies.autoscalers import HorizontalPodAutoscalerStrategy
from aiapi_sandbox.kinds.strategies.base import Strategy
from aiapi_sandbox.kinds.strategies.cluster import NamespaceStrategy, NodeStrategy
from aiapi_sandbox.kinds.strategies.config import ConfigMapStrategy, SecretStrategy
from aiapi_sandbox.kinds.strategies.crds import CRDStrategy
from aiapi_sandbox.kinds.strategies.pods import PodStrategy
from aiapi_sandbox.kinds.strategies.policies import (
    NetworkPolicyStrategy,
    PodDisruptionBudgetStrategy,
    RoleBindingStrategy,
)
from aiapi_sandbox.kinds.strategies.quotas import LimitRangeStrategy, ResourceQuotaStrategy
from aiapi_sandbox.kinds.strategies.services import ServiceStrategy
from aiapi_sandbox.kinds.strategies.workloads import DeploymentStrategy, WorkloadStrategy


def builtin_strategies() -> dict[str, Strategy]:
    """A new set by kind. Not shared between stores: the Service strategy allocates addresses."""
    return {
        "Namespace": NamespaceStrategy(),
        "Node": NodeStrategy(),
        "Pod": PodStrategy(),
        "Deployment": DeploymentStrategy(),
        "HorizontalPodAutoscaler": HorizontalPodAutoscalerStrategy(),
        "LimitRange": LimitRangeStrategy(),
        "ResourceQuota": ResourceQuotaStrategy(),
        "ReplicaSet": WorkloadStrategy(),
        "Service": ServiceStrategy(),
        "Secret": SecretStrategy(),
        "ConfigMap": ConfigMapStrategy(),
        "NetworkPolicy": NetworkPolicyStrategy(),
        "PodDisruptionBudget": PodDisruptionBudgetStrategy(),
        "RoleBinding": RoleBindingStrategy(),
        "ClusterRoleBinding": RoleBindingStrategy(),
        "CustomResourceDefinition": CRDStrategy(),
    }
