from manifests_support.samples import aiapi

from aiapi_operator.manifests import service


def test_the_service_exposes_port_80_and_not_the_admin_port() -> None:
    spec = service.build(aiapi())["spec"]
    (port,) = spec["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert spec["selector"] == {"aiapi.dev/name": "assistant"}
