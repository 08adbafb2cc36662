from dataclasses import replace

from manifests_support.samples import CONTEXT, aiapi, with_template

from aiapi_operator.manifests import pod_template, service_account


def test_no_token_is_mounted() -> None:
    assert service_account.build(aiapi(), CONTEXT)["automountServiceAccountToken"] is False


def test_the_namespaces_default_account_is_not_used() -> None:
    assert service_account.name(aiapi(name="default")) == "default-aiapi"


PRIVATE = replace(CONTEXT, image_pull_secrets=("mirror", "spare"))
SECRETS = [{"name": "mirror"}, {"name": "spare"}]


def test_the_secrets_of_the_operators_registry_reach_aiapis_on_its_image() -> None:
    assert service_account.build(aiapi(), PRIVATE)["imagePullSecrets"] == SECRETS
    assert pod_template.build(aiapi(), PRIVATE)["spec"]["imagePullSecrets"] == SECRETS


def test_they_reach_aiapis_with_an_injected_runtime() -> None:
    injected = aiapi(image="ghcr.io/acme/assistant:1.4", app="assistant.main:app")
    assert service_account.build(injected, PRIVATE)["imagePullSecrets"] == SECRETS
    assert pod_template.build(injected, PRIVATE)["spec"]["imagePullSecrets"] == SECRETS


def test_an_aiapi_with_its_own_image_and_runtime_does_not_get_them() -> None:
    own = aiapi(image="ghcr.io/acme/assistant:1.4", runtime={"source": "Image"})
    assert "imagePullSecrets" not in service_account.build(own, PRIVATE)
    assert "imagePullSecrets" not in pod_template.build(own, PRIVATE)["spec"]


def test_without_secrets_the_field_is_left_to_others() -> None:
    assert "imagePullSecrets" not in service_account.build(aiapi(), CONTEXT)
    assert "imagePullSecrets" not in pod_template.build(aiapi(), CONTEXT)["spec"]


def test_the_users_secrets_are_added() -> None:
    user = with_template(imagePullSecrets=[{"name": "own"}])
    spec = pod_template.build(user, PRIVATE)["spec"]
    assert spec["imagePullSecrets"] == [*SECRETS, {"name": "own"}]
