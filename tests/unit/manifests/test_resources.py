from manifests_support.samples import aiapi

from aiapi_operator.manifests.resources import requests


def test_requests_grow_with_the_workers() -> None:
    workers = aiapi(workers={"cpu": "250m", "memory": "384Mi"}).spec.workers
    assert requests(workers, 1) == {"cpu": "250m", "memory": "384Mi"}
    assert requests(workers, 4) == {"cpu": "1", "memory": "1536Mi"}
    assert requests(workers, 8) == {"cpu": "2", "memory": "3Gi"}
