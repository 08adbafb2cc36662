from manifests_support.samples import aiapi

from aiapi_operator.manifests import service


def test_port_80_leads_to_the_pods_and_the_admin_port_is_not_on_it() -> None:
    spec = service.build(aiapi())["spec"]
    (port,) = spec["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert spec["selector"] == {"aiapi.dev/name": "assistant"}
