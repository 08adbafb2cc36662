"""Where the launcher looks for interpreters, and in which order."""

import os
import sys
from pathlib import Path

import pytest

from aiapi_runtime.launcher import candidates
from aiapi_runtime.launcher.refusal import Refusal


@pytest.fixture
def image(tmp_path, monkeypatch):
    """An image with nothing in it."""
    for name in (
        *("AIAPI_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"),
        *("POETRY_CACHE_DIR", "POETRY_VIRTUALENVS_PATH", "MAMBA_ROOT_PREFIX"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setenv("PATH", str(tmp_path / "usr"))
    work = tmp_path / "app"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path


def interpreter(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_environment_of_the_app_comes_before_the_systems_python(image, monkeypatch):
    system = interpreter(image / "usr/python3")
    conda = interpreter(image / "conda/bin/python3")
    plain = interpreter(image / "app/venv/bin/python3")
    hidden = interpreter(image / "app/.venv/bin/python")
    active = interpreter(image / "opt/bin/python3")
    monkeypatch.setenv("VIRTUAL_ENV", str(image / "opt"))
    monkeypatch.setenv("CONDA_PREFIX", str(image / "conda"))
    assert candidates.candidates() == [active, hidden, plain, conda, system]


def test_uvs_environment_comes_before_one_in_the_working_directory(image, monkeypatch):
    hidden = interpreter(image / "app/.venv/bin/python")
    named = interpreter(image / "opt/venv/bin/python")
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", str(image / "opt/venv"))
    assert candidates.candidates() == [named, hidden]


def test_poetrys_environments_come_after_path(image, monkeypatch):
    cached = interpreter(image / "home/.cache/pypoetry/virtualenvs/shop-a-py3.11/bin/python")
    system = interpreter(image / "usr/python3")
    assert candidates.candidates() == [system, cached]
    moved = interpreter(image / "cache/virtualenvs/shop-a-py3.11/bin/python")
    monkeypatch.setenv("POETRY_CACHE_DIR", str(image / "cache"))
    assert candidates.candidates() == [system, moved]
    first, second = (interpreter(image / f"envs/{one}/bin/python") for one in ("a", "b"))
    monkeypatch.setenv("POETRY_VIRTUALENVS_PATH", str(image / "envs"))
    assert candidates.candidates() == [system, first, second]


@pytest.mark.parametrize("folder", ["bin", "condabin"])
def test_condas_environments_are_found_by_its_own_on_path(image, monkeypatch, folder):
    base = interpreter(image / "conda/bin/python")
    shop = interpreter(image / "conda/envs/shop/bin/python")
    monkeypatch.setenv("PATH", str(image / "conda" / folder))
    without = candidates.candidates()
    (image / "conda/conda-meta").mkdir()
    assert candidates.candidates() == [base, shop]
    assert shop not in without


def test_condas_environments_are_found_by_the_root_or_the_list_of_the_user(image, monkeypatch):
    shop = interpreter(image / "conda/envs/shop/bin/python")
    (image / "home/.conda").mkdir(parents=True)
    (image / "home/.conda/environments.txt").write_text(f"/gone\n\n{image}/conda/envs/shop\n")
    assert candidates.candidates() == [shop]
    (image / "home/.conda/environments.txt").write_bytes(b"\xff")
    assert candidates.candidates() == []
    (image / "conda/conda-meta").mkdir()
    monkeypatch.setenv("MAMBA_ROOT_PREFIX", str(image / "conda"))
    assert candidates.candidates() == [shop]


def test_what_cannot_be_run_is_no_candidate(image):
    Path(interpreter(image / "usr/python3")).chmod(0o644)
    (image / "app/.venv/bin/python3").mkdir(parents=True)
    assert candidates.candidates() == []


def test_a_link_beside_its_target_is_one_interpreter(image):
    found = interpreter(image / "usr/python3")
    (image / "usr/python").symlink_to("python3")
    assert candidates.candidates() == [found]


def test_a_virtual_environment_is_another_interpreter_than_the_one_it_links_to(image, monkeypatch):
    base = interpreter(image / "usr/python3")
    link = image / "app/.venv/bin/python3"
    link.parent.mkdir(parents=True)
    link.symlink_to(base)
    assert candidates.candidates() == [str(link), base]
    assert not candidates.same(str(link), base)


def test_an_interpreter_that_is_named_is_the_only_one(image, monkeypatch):
    interpreter(image / "app/.venv/bin/python3")
    named = interpreter(image / "usr/python3.12")
    monkeypatch.setenv("AIAPI_PYTHON", "python3.12")
    assert candidates.candidates() == [named]
    monkeypatch.setenv("AIAPI_PYTHON", named)
    assert candidates.candidates() == [named]


def test_a_name_that_the_image_does_not_have_is_refused(image, monkeypatch):
    monkeypatch.setenv("AIAPI_PYTHON", "/opt/venv/bin/python")
    with pytest.raises(Refusal, match=r"NoPython: /opt/venv/bin/python .*spec\.runtime\.python"):
        candidates.candidates()


def test_the_number_of_candidates_is_bounded(image, monkeypatch):
    folders = [image / f"bin{number}" for number in range(40)]
    for folder in folders:
        interpreter(folder / "python3")
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    assert len(candidates.candidates()) == 12
