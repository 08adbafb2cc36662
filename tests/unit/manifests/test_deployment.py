from manifests_support.samples import CONTEXT, aiapi

from aiapi_operator.manifests import deployment, secret
from aiapi_operator.manifests.secret import AdminSecret, ServingTls


def test_a_rollout_never_shrinks_the_fleet() -> None:
    spec = deployment.build(aiapi(), CONTEXT)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": 0}


def test_a_rollout_can_do_without_a_surge() -> None:
    strategy = {"maxSurge": 0, "maxUnavailable": 1, "minReadySeconds": 5}
    spec = deployment.build(aiapi(strategy=strategy), CONTEXT)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"]) == (5, 600)


def test_pods_of_an_earlier_template_do_not_count_for_the_spread() -> None:
    pod = deployment.build(aiapi(), CONTEXT)["spec"]["template"]["spec"]
    for spread in pod["topologySpreadConstraints"]:
        assert spread["matchLabelKeys"] == ["pod-template-hash"]


def test_the_selector_matches_the_pods() -> None:
    spec = deployment.build(aiapi(), CONTEXT)["spec"]
    wanted = spec["selector"]["matchLabels"]
    assert wanted.items() <= spec["template"]["metadata"]["labels"].items()


def test_the_pods_do_not_roll_when_token_or_certificate_change() -> None:
    made = deployment.build(aiapi(), CONTEXT)
    tls = ServingTls(certificate="C1", key="K1", trusted="T1")
    content = secret.build(aiapi(), AdminSecret(token="s3cret", tls=tls))["data"]
    assert not any(value in str(made) for value in content.values())
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"aiapi.dev/admin-scheme": "https"}


def test_pods_have_no_service_account_token() -> None:
    pod = deployment.build(aiapi(), CONTEXT)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "assistant-aiapi"
