"""Settings come from AIAPI_ variables. Errors name the variable."""

import json
import os
from pathlib import Path

import pytest

from aiapi_runtime.runtime.cli import main as aiapi_serve
from aiapi_service.gateway.local import embedder as local_embedder
from aiapi_service.gateway.local import model as local_model
from aiapi_service.gateway.reference import table
from aiapi_service.gateway.settings import SettingsError, known_variables, load, refuse_unknown


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("AIAPI_"):
            monkeypatch.delenv(name)


def test_upstreams_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAMS", "http://a:8000, https://b/llm/v1 ,")
    addresses = [one.address("/models") for one in load().upstreams]
    assert addresses == ["http://a:8000/v1/models", "https://b/llm/v1/models"]
    assert [one.title() for one in load().upstreams] == ["a:8000", "b"]


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://vllm:8000", "http://vllm:8000/v1/chat/completions"),
        ("http://vllm:8000/", "http://vllm:8000/v1/chat/completions"),
        ("http://vllm:8000/v1/", "http://vllm:8000/v1/chat/completions"),
        ("https://g.example/v1beta/openai/", "https://g.example/v1beta/openai/chat/completions"),
        ("https://z.example/api/paas/v4", "https://z.example/api/paas/v4/chat/completions"),
        (
            "https://r.example/openai/deployments/gpt?api-version=2024-06-01",
            "https://r.example/openai/deployments/gpt/chat/completions?api-version=2024-06-01",
        ),
        ("https://h.example/?key=1", "https://h.example/v1/chat/completions?key=1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_a_base_url_keeps_its_own_path_and_query(
    monkeypatch: pytest.MonkeyPatch, base: str, address: str
) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAMS", base)
    (one,) = load().upstreams
    assert one.address("/chat/completions") == address


def test_upstreams_may_be_described_in_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("from-file\n")
    described = [
        {"url": "http://a", "name": "first", "weight": 3, "models": {"fast": "llama"}},
        {"url": "http://b", "tier": 1, "models": ["m"], "api_key_file": str(tmp_path / "key")},
        {"url": "http://c", "api_key_env": "THE_KEY", "kinds": ["embeddings"]},
    ]
    monkeypatch.setenv("AIAPI_UPSTREAMS", json.dumps(described))
    monkeypatch.setenv("THE_KEY", "from-env")
    first, second, third = load().upstreams
    assert (first.title(), first.weight, first.models) == ("first", 3, {"fast": "llama"})
    assert (second.tier, second.models, second.key()) == (1, {"m": "m"}, "from-file")
    assert (third.key(), third.kinds) == ("from-env", {"embeddings"})


def test_upstreams_are_optional() -> None:
    assert load().upstreams == ()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AIAPI_UPSTREAMS", "ftp://a", r"\[0\]\.url: URL scheme should be 'http' or 'https'"),
        ("AIAPI_UPSTREAMS", "http://a,nonsense", r"\[1\]\.url: .*valid URL"),
        ("AIAPI_UPSTREAMS", "[{]", "is not JSON"),
        ("AIAPI_UPSTREAMS", '[{"url": "http://a", "wieght": 2}]', r"\[0\]\.wieght: Extra inputs"),
        ("AIAPI_UPSTREAMS", "http://a,http://a", "two upstreams have the name a"),
        ("AIAPI_UPSTREAMS", '[{"url": "http://a", "api_key_file": "/none"}]', "No such file"),
        ("AIAPI_UPSTREAMS", '[{"url": "http://a", "api_key_env": "NONE"}]', "NONE is not set"),
        (
            "AIAPI_UPSTREAMS",
            '[{"url": "http://a", "api_key_env": "A", "api_key": "b"}]',
            "set only one of api_key",
        ),
        ("AIAPI_UPSTREAMS", "http://a/v1/chat/completions/", "base URL, without /chat/completions"),
        ("AIAPI_UPSTREAMS", "http://a/v1/responses?x=1", "base URL, without /responses"),
        ("AIAPI_UPSTREAMS", '[{"url": "http://a", "api_key_header": "a b"}]', "api_key_header: "),
        ("AIAPI_UPSTREAM_CONNECT_TIMEOUT", "0", "greater than 0"),
        ("AIAPI_UPSTREAM_READ_TIMEOUT", "soon", "valid number"),
        ("AIAPI_MAX_BODY_BYTES", "-1", "greater than or equal to 1"),
        ("AIAPI_PRICES", '{"m": {"in": 1}}', r"\.m\."),
        ("AIAPI_CORS_ORIGINS", "https://a,b.example", "'b.example' is not an origin"),
        ("AIAPI_CORS_ORIGINS", "https://a/", "'https://a/' is not an origin"),
        ("AIAPI_PRICES", "1.50", "AIAPI_PRICES: "),
        ("AIAPI_PRICES", "free", "AIAPI_PRICES: is not JSON"),
        ("AIAPI_DATABASE_URL", "nonsense", r"AIAPI_DATABASE_URL: must be a postgresql:// URL"),
    ],
)
def test_an_invalid_value_is_refused_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as refusal:
        load()
    assert str(refusal.value).startswith(name)
    assert "\n" not in str(refusal.value), "the runtime reports the last line only"


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        (
            "AIAPI_CHAT_MODEL",
            "foo",
            {"AIAPI_UPSTREAMS": '[{"url": "http://a", "models": ["bar"]}]'},
        ),
        ("AIAPI_CHAT_MODEL", "smollm2-135m", {"AIAPI_UPSTREAMS": "http://a"}),
        ("AIAPI_EMBEDDING_MODEL", "wordllama-256", {"AIAPI_LOCAL": "off"}),
        (
            "AIAPI_EMBEDDING_MODEL",
            "foo",
            {"AIAPI_UPSTREAMS": '[{"url": "http://a", "kinds": ["chat"]}]'},
        ),
    ],
)
def test_a_default_model_without_an_upstream_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, others: dict[str, str]
) -> None:
    for known, content in (others | {name: value}).items():
        monkeypatch.setenv(known, content)
    with pytest.raises(SettingsError, match=f"{name}: no upstream in AIAPI_UPSTREAMS serves this"):
        load()


def test_missing_local_models_cannot_be_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIAPI_LOCAL", "on")
    assert load().local == "on"
    for module in (local_model, local_embedder):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="AIAPI_LOCAL: on requires pip install"):
        load()


def test_a_default_model_that_an_upstream_may_serve_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIAPI_CHAT_MODEL", "smollm2-135m")
    monkeypatch.setenv("AIAPI_EMBEDDING_MODEL", "foo")
    assert load().chat_model == "smollm2-135m"
    monkeypatch.setenv("AIAPI_UPSTREAMS", "http://a")
    monkeypatch.setenv("AIAPI_LOCAL", "on")
    assert load().embedding_model == "foo"


def test_an_unknown_variable_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SettingsError, match=r"AIAPI_UPSTREAM: unknown setting.*AIAPI_UPSTREAMS"):
        refuse_unknown({"AIAPI_UPSTREAM": "http://a"})


def test_variables_of_runtime_operator_and_kubernetes_are_accepted() -> None:
    names = ("AIAPI_WORKERS", "AIAPI_APP", "AIAPI_ADMIN_TOKEN", "AIAPI_IDLE_IGNORE_PATHS")
    others = ("AIAPI_OPERATOR_HOST", "AIAPI_ACTIVATOR_HOST")
    links = ("AIAPI_SERVICE_HOST", "AIAPI_PORT_80_TCP", "AIAPI_DEMO_SERVICE_PORT_HTTP")
    assert refused(*names, *others, *links, "OTHER", "AIAPI_WORKER") == ["AIAPI_WORKER"]


def test_every_option_of_the_runtime_is_known() -> None:
    options = [f"AIAPI_{str(option.name).upper()}" for option in aiapi_serve.params]
    assert "AIAPI_WORKERS" in options
    assert refused(*options) == []


def refused(*names: str) -> list[str]:
    """The variables that are refused, each by itself."""
    return [name for name in names if is_refused(name)]


def is_refused(name: str) -> bool:
    try:
        refuse_unknown({name: "x"})
    except SettingsError:
        return True
    return False


def test_a_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", str(tmp_path / "key"))
    key = load().upstream_api_key
    assert key is not None
    assert key.get_secret_value() == "s3cret"


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", "/nowhere/key")
    with pytest.raises(SettingsError, match=r"AIAPI_UPSTREAM_API_KEY_FILE: .*/nowhere/key"):
        load()


def test_a_secret_and_its_file_are_exclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY", "a")
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY_FILE", "/b")
    with pytest.raises(SettingsError, match="not both"):
        load()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_UPSTREAM_API_KEY", "s3cret")
    monkeypatch.setenv("AIAPI_UPSTREAMS", '[{"url": "http://a", "api_key": "t0ken"}]')
    assert "s3cret" not in repr(load())
    assert "t0ken" not in repr(load())
    monkeypatch.setenv("AIAPI_UPSTREAMS", '[{"url": "http://a", "api_key": "t0ken", "x": 1}]')
    with pytest.raises(SettingsError) as refusal:
        load()
    assert "t0ken" not in str(refusal.value)


def test_the_documentation_lists_every_setting() -> None:
    document = Path(__file__).parents[3] / "docs" / "gateway.md"
    command = "python -m aiapi_service.gateway.reference"
    assert table() in document.read_text(encoding="utf-8"), f"{command} prints the table"
    assert all(row.count(" |  |") == 0 for row in table().splitlines()), (
        "every setting has a description"
    )
    assert "AIAPI_UPSTREAMS" in known_variables()
