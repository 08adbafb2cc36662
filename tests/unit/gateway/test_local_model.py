"""When the local model runs, and with how many threads."""

import pytest

from aiapi_service.gateway.local import model
from aiapi_service.gateway.local.model import threads
from aiapi_service.gateway.sidecars import bundled


@pytest.mark.parametrize(
    ("configured", "cpus", "quota", "count"),
    [
        (0, 8, "max 100000", 4),
        (0, 1, "max 100000", 1),
        (0, 8, "400000 100000\n", 2),
        (0, 8, "50000 100000", 1),
        (3, 2, "max", 3),
    ],
)
def test_it_uses_half_of_the_cpus_by_default(
    configured: int, cpus: int, quota: str, count: int
) -> None:
    assert threads(configured, cpus=cpus, quota=quota) == count


def names(environ: dict[str, str]) -> list[str]:
    environ = {"AIAPI_DATABASE_LOCAL": "off", **environ}
    return [one.name for one in bundled.sidecars(environ)]


def test_it_runs_when_no_upstream_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "find_spec", lambda _: object())
    assert names({}) == ["the local model"]
    assert names({"AIAPI_UPSTREAMS": "http://a", "AIAPI_LOCAL": "on"}) == ["the local model"]
    assert names({"AIAPI_UPSTREAMS": "http://a"}) == []
    assert names({"AIAPI_LOCAL": "off"}) == []
    monkeypatch.setattr(model, "find_spec", lambda _: None)
    assert names({}) == []


def test_its_url_and_key_are_in_the_environment_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "find_spec", lambda _: object())
    environ = {"AIAPI_DATABASE_LOCAL": "off"}
    (sidecar,) = bundled.sidecars(environ)
    assert environ["AIAPI_LOCAL_URL"] == f"http://127.0.0.1:{sidecar.argv[-1]}"
    assert len(environ["AIAPI_LOCAL_KEY"]) > 40
    assert environ["AIAPI_LOCAL_KEY"] not in sidecar.argv, "other users can see arguments"
