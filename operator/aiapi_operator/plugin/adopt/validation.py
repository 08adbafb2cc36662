"""Checks the AIApi with the models before it is printed or applied."""

from pydantic import ValidationError

from aiapi_operator.api import AIApi, AIApiSpec
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.plugin.adopt.related import Manifest
from aiapi_operator.plugin.adopt.remarks import AdoptionError


def validate(manifest: Manifest) -> AIApi:
    """The AIApi. Raises ``AdoptionError`` with every field that it cannot have."""
    # The models know spec.runtime from the version on that injects the runtime.
    spec = {key: value for key, value in manifest["spec"].items()
            if key != "runtime" or key in AIApiSpec.model_fields}  # fmt: skip
    try:
        return AIApi.model_validate({**manifest, "spec": spec})
    except ValidationError as error:
        problems = "".join(f"\n  {fault}" for fault in field_errors(error))
        raise AdoptionError(
            f"the Deployment has values that an AIApi cannot have:{problems}"
        ) from (error)
