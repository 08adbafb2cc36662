"""The fault proxy between a program and the API server."""

from typing import Any

from e2e_support.fault_sidecar import container

FOLDER = "/fault"
PORT = 9444
KUBECONFIG = """
import json, os
with open(os.environ["TO"], "w") as file:
    json.dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "fault",
        "clusters": [{"name": "fault", "cluster": {"server": os.environ["SERVER"]}}],
        "users": [{"name": "fault", "user": {"token": "the-proxy-has-it"}}],
        "contexts": [{"name": "fault", "context": {"cluster": "fault", "user": "fault"}}],
    }, file)
"""


def add_api_proxy(pod: dict[str, Any], image: str, *, target: str) -> None:
    """Lead the first container of a pod's spec through the proxy, which may signal ``target``."""
    proxy = container(image, upstream="kubernetes", listen=PORT, target=target)
    mount = {"name": "fault", "mountPath": FOLDER}
    variables = {"SERVER": f"http://$(POD_IP):{PORT}", "TO": f"{FOLDER}/kubeconfig"}
    writes = {
        **proxy,
        "name": "kubeconfig",
        "command": ["python", "-c", KUBECONFIG],
        "env": [proxy["env"][0], *({"name": k, "value": v} for k, v in variables.items())],
        "volumeMounts": [mount],
    }
    main = pod["containers"][0]
    main["env"].append({"name": "KUBECONFIG", "value": variables["TO"]})
    main["volumeMounts"].append(mount)
    pod["volumes"].append({"name": "fault", "emptyDir": {}})
    pod["initContainers"] = [writes]
    pod["containers"].append(proxy)
