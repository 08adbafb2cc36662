from manifests_support.samples import aiapi

from aiapi_operator.manifests import service_account


def test_no_token_is_mounted() -> None:
    assert service_account.build(aiapi())["automountServiceAccountToken"] is False


def test_it_never_takes_the_namespaces_own_account() -> None:
    assert service_account.name(aiapi(name="default")) == "default-aiapi"
