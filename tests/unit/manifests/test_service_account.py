from manifests_support.samples import aiapi

from aiapi_operator.manifests import service_account


def test_no_token_is_mounted() -> None:
    assert service_account.build(aiapi())["automountServiceAccountToken"] is False


def test_the_namespaces_default_account_is_not_used() -> None:
    assert service_account.name(aiapi(name="default")) == "default-aiapi"
