"""Settings come from AIAPI_ variables; a bad one is refused with its name."""

from pathlib import Path

import pytest

from aiapi_service.gateway.settings import SettingsError, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIAPI_UPSTREAMS", "AIAPI_UPSTREAM_API_KEY", "AIAPI_UPSTREAM_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_several_upstreams_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAMS", "http://a:8000, https://b/llm ,")
    assert [str(url) for url in load().upstreams] == ["http://a:8000/", "https://b/llm"]


def test_no_upstream_is_allowed_so_that_the_pod_can_say_what_is_missing() -> None:
    assert load().upstreams == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AIAPI_UPSTREAMS", "ftp://a", "URL scheme should be 'http' or 'https'"),
        ("AIAPI_UPSTREAMS", "http://a,nonsense", "valid URL"),
        ("AIAPI_UPSTREAM_CONNECT_TIMEOUT", "0", "greater than 0"),
        ("AIAPI_UPSTREAM_READ_TIMEOUT", "soon", "valid number"),
        ("AIAPI_MAX_BODY_BYTES", "-1", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says) as refusal:
        load()
    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value), "the runtime reports the last line only"


def test_the_key_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", str(tmp_path / "key"))
    assert load().api_key() == "s3cret"


def test_a_missing_key_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", "/nowhere/key")
    with pytest.raises(SettingsError, match=r"AIAPI_UPSTREAM_API_KEY_FILE: .*/nowhere/key"):
        load().api_key()


def test_two_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY", "a")
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", "/b")
    with pytest.raises(SettingsError, match="not both"):
        load()


def test_the_key_does_not_show_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY", "s3cret")
    assert "s3cret" not in repr(load())
