"""Files of ended processes become one per kind, and lose no count."""

import json

import pytest

from aiapi_runtime.telemetry.multiprocess import files
from aiapi_runtime.telemetry.multiprocess.client import Client, Value


@pytest.fixture
def client():
    return Client()


def _key(name):
    return json.dumps([name, name, {}, "help"])


def _write(client, folder, name, number, time=0.0):
    client.write(folder / name, {_key("x"): Value(number, time)})


def _folded(client, folder, ended):
    files.fold(client, files.find(folder), ended)
    return {path.name: client.read(path).get(_key("x")) for path in folder.glob("*.db")}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("counter", 5.0),
        ("histogram", 5.0),
        ("summary", 5.0),
        ("gauge_sum", 5.0),
        ("gauge_min", 2.0),
        ("gauge_max", 3.0),
    ],
)
def test_values_of_ended_processes_are_kept_in_one_file(tmp_path, client, kind, expected):
    _write(client, tmp_path, f"{kind}_11.db", 2.0)
    _write(client, tmp_path, f"{kind}_12.db", 3.0)
    _write(client, tmp_path, f"{kind}_13.db", 1.0)
    assert _folded(client, tmp_path, {11}) == {
        f"{kind}_0.db": Value(2.0, 0.0),
        f"{kind}_12.db": Value(3.0, 0.0),
        f"{kind}_13.db": Value(1.0, 0.0),
    }
    assert _folded(client, tmp_path, {12})[f"{kind}_0.db"] == Value(expected, 0.0)


def test_the_most_recent_value_is_kept_with_its_time(tmp_path, client):
    _write(client, tmp_path, "gauge_mostrecent_11.db", 9.0, time=200.0)
    _write(client, tmp_path, "gauge_mostrecent_12.db", 5.0, time=100.0)
    assert _folded(client, tmp_path, {11, 12}) == {"gauge_mostrecent_0.db": Value(9.0, 200.0)}


@pytest.mark.parametrize("mode", ["all", "liveall", "livemin", "livemax", "livesum"])
def test_other_gauges_end_with_their_process(tmp_path, client, mode):
    _write(client, tmp_path, f"gauge_{mode}_11.db", 1.0)
    _write(client, tmp_path, f"gauge_{mode}_12.db", 1.0)
    assert _folded(client, tmp_path, {11}) == {f"gauge_{mode}_12.db": Value(1.0, 0.0)}


def test_a_damaged_file_is_removed_and_reported(tmp_path, client, caplog):
    (tmp_path / "counter_11.db").write_bytes(b"\xff\x00\x00\x00" + b"\x7f" * 300)
    _write(client, tmp_path, "counter_12.db", 3.0)
    assert _folded(client, tmp_path, {11, 12}) == {"counter_0.db": Value(3.0, 0.0)}
    assert "what an ended process has counted is lost" in caplog.text


def test_an_empty_file_is_not_read_yet(tmp_path):
    (tmp_path / "counter_11.db").touch()
    (tmp_path / "other.db").write_bytes(b"x")
    assert files.find(tmp_path) == []
