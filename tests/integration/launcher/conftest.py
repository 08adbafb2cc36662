"""One folder of the runtime for all tests, and an image for each."""

import pytest
from runtime_support.image import build_runtime, make_image


@pytest.fixture(scope="session")
def runtime_folder(tmp_path_factory):
    return build_runtime(tmp_path_factory.mktemp("runtime") / "aiapi")


@pytest.fixture
def image(tmp_path, runtime_folder):
    return make_image(tmp_path, runtime_folder)
