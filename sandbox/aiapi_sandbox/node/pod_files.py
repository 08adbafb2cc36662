"""A pod's directory, and the process specs of its containers."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.kinds.resources import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from aiapi_sandbox.node import environment, volumes
from aiapi_sandbox.node.environment import EnvSources, PathRewriter
from aiapi_sandbox.node.images import Image
from aiapi_sandbox.node.process import ProcessSpec
from aiapi_sandbox.node.service_names import ServiceNameResolver, cluster_ips
from aiapi_sandbox.proxy.listeners import expected_address
from aiapi_sandbox.storage.store import Store

JsonObject = Mapping[str, Any]
_ADDRESS_VARIABLES = ("AIAPI_HOST", "AIAPI_OPERATOR_HOST", "AIAPI_ACTIVATOR_HOST")


@dataclass(frozen=True, kw_only=True)
class PodCredentials:
    """A pod's token for the API server, and a kubeconfig with it."""

    token: str
    kubeconfig: Obj


class CredentialIssuer(Protocol):
    """Issues and revokes credentials for pods."""

    def issue(self, namespace: str, account: str) -> PodCredentials: ...

    def revoke(self, credentials: PodCredentials) -> None: ...


class PodFiles:
    """One pod's directory: volumes, home, temporary files, logs and possibly a kubeconfig."""

    def __init__(
        self,
        pod: JsonObject,
        folder: Path,
        *,
        store: Store,
        issuer: CredentialIssuer,
        allocatable: Mapping[str, str],
    ) -> None:
        self._pod = pod
        self._folder = folder
        self._store = store
        self._issuer = issuer
        self._allocatable = allocatable
        self._credentials: PodCredentials | None = None

    @property
    def logs(self) -> Path:
        """The directory of the containers' logs."""
        return self._folder / "logs"

    def prepare(self) -> None:
        """Create the directories and volumes. Raises VolumeError when a source is missing."""
        for name in ("home", "tmp", "logs", "volumes"):
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._mounts_token():
            self._write_kubeconfig()
        self.refresh_volumes()

    def link_image(self, volume: str, image: Path) -> None:
        """Show an image as a volume."""
        volumes.link_image(self._folder / "volumes" / volume, image)

    def refresh_volumes(self) -> None:
        """Update the volumes' files whose sources have changed."""
        namespace = self._pod["metadata"]["namespace"]
        sources = volumes.VolumeSources(
            pod=self._pod,
            secret=lambda name: self._store.find(SECRETS, namespace, name),
            config_map=lambda name: self._store.find(CONFIGMAPS, namespace, name),
            claim=self._claim,
            token=self._credentials.token if self._credentials else "",
            allocatable=self._allocatable,
        )
        for volume in self._pod["spec"].get("volumes") or ():
            name = volume["name"]
            try:
                volumes.write_volume(volume, self._folder / "volumes" / name, sources)
            except volumes.VolumeError as error:
                text = f'MountVolume.SetUp failed for volume "{name}" : {error}'
                raise volumes.VolumeError(text) from error

    def _claim(self, name: str) -> Path | None:
        """The directory of a claim, which all pods share; None if the claim does not exist."""
        namespace = str(self._pod["metadata"]["namespace"])
        if self._store.find(PERSISTENTVOLUMECLAIMS, namespace, name) is None:
            return None
        return self._folder.parent / "claims" / namespace / name

    def remove(self) -> None:
        """Delete the directory and revoke the token."""
        if self._credentials is not None:
            self._issuer.revoke(self._credentials)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mounts_token(self) -> bool:
        spec, namespace = self._pod["spec"], self._pod["metadata"]["namespace"]
        if "automountServiceAccountToken" in spec:
            return bool(spec["automountServiceAccountToken"])
        name = spec.get("serviceAccountName", "default")
        account = self._store.find(SERVICEACCOUNTS, namespace, name) or {}
        return bool(account.get("automountServiceAccountToken", True))

    def _write_kubeconfig(self) -> None:
        spec, namespace = self._pod["spec"], self._pod["metadata"]["namespace"]
        self._credentials = self._issuer.issue(namespace, spec.get("serviceAccountName", "default"))
        path = self._kubeconfig
        path.touch(mode=0o600)
        path.write_text(json.dumps(self._credentials.kubeconfig))

    @property
    def _kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    # --- process specs

    def process_spec(self, container: JsonObject, image: Image, pod: JsonObject) -> ProcessSpec:
        """Return the process spec of a container. Raises ContainerConfigError."""
        base = self._base_env(image, pod)
        namespace = pod["metadata"]["namespace"]
        sources = EnvSources(
            pod=pod,
            container=container,
            secret=lambda name: self._text(SECRETS, namespace, name),
            config_map=lambda name: self._text(CONFIGMAPS, namespace, name),
            allocatable=self._allocatable,
        )
        env = environment.container_env(sources, base)
        folder = self._folder / "volumes"
        rewrite = PathRewriter(
            mounts={**image.files, **volumes.mounts(container, folder)}, root=image.directory
        )
        argv = environment.command_line(
            container, entrypoint=image.entrypoint, arguments=image.arguments, env=env
        )
        if not argv:
            raise environment.ContainerConfigError("no command specified")
        working = container.get("workingDir")
        resolve = ServiceNameResolver(
            namespace=namespace,
            addresses=cluster_ips(self._store.scan(SERVICES)),
            actual_address=expected_address,
        )
        placed = rewrite.environment(env, untouched=base)
        return ProcessSpec(
            argv=[resolve(rewrite.argument(part)) for part in argv],
            cwd=Path(rewrite(working)) if working else image.directory or self._folder / "home",
            env={name: resolve(value) for name, value in placed.items()},
            place=rewrite.argument,
        )

    def _base_env(self, image: Image, pod: JsonObject) -> dict[str, str]:
        env = {
            "PATH": _own_path() if image.path is None else os.pathsep.join(image.path),
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "HOSTNAME": pod["metadata"]["name"],
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        env |= dict.fromkeys(_ADDRESS_VARIABLES, pod["status"]["podIP"])
        if self._credentials is not None:
            env["KUBECONFIG"] = str(self._kubeconfig)
        if pod["spec"].get("enableServiceLinks", True):
            services = self._store.scan(SERVICES, pod["metadata"]["namespace"])
            env |= environment.service_links(services)
        return env | dict(image.env)

    def _text(self, key: Any, namespace: str, name: str) -> dict[str, str] | None:
        found = self._store.find(key, namespace, name)
        if found is None:
            return None
        read = volumes.secret_data if key == SECRETS else volumes.config_map_data
        return {k: value.decode(errors="replace") for k, value in read(found).items()}


def _own_path() -> str:
    """The PATH of the sandbox, with its own environment first."""
    programs = Path(sys.executable).parent
    return f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
