"""The rules for CRDs themselves: names, versions, schemas, and rules that compile."""

from __future__ import annotations

from aiapi_sandbox.errors import FieldError, Obj
from aiapi_sandbox.kinds.jsonpath import JsonPathError, check_path
from aiapi_sandbox.kinds.rules import rule_errors
from aiapi_sandbox.kinds.strategy import Strategy


class DefinitionStrategy(Strategy):
    """A CRD that could not be served is refused when it is created."""

    def prepare_create(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if names.get("kind"):
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", f"{names['kind']}List")
        spec.setdefault("conversion", {"strategy": "None"})
        stored = [item.get("name") for item in spec.get("versions") or () if item.get("storage")]
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": stored,
        }

    def prepare_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        if subresource != "status":
            self.prepare_create(obj)
            obj["status"] = old["status"]

    def validate_create(self, obj: Obj) -> list[FieldError]:
        spec = obj["spec"]
        errors = self._name_errors(obj)
        versions = spec.get("versions") or []
        if sum(1 for item in versions if item.get("storage")) != 1:
            detail = "must have exactly one version marked as storage version"
            errors.append(FieldError("FieldValueInvalid", "spec.versions", detail, len(versions)))
        if (spec.get("conversion") or {}).get("strategy") != "None":
            detail = 'supported values: "None"'
            strategy = spec["conversion"].get("strategy")
            where = "spec.conversion.strategy"
            errors.append(FieldError("FieldValueNotSupported", where, detail, strategy))
        for index, version in enumerate(versions):
            errors += _version_errors(version, f"spec.versions[{index}]")
        return errors

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldError]:
        if subresource == "status":
            return []
        errors = self.validate_create(obj)
        for path in ("group", "scope"):
            if obj["spec"].get(path) != old["spec"].get(path):
                value = obj["spec"].get(path)
                detail = "field is immutable"
                errors.append(FieldError("FieldValueInvalid", f"spec.{path}", detail, value))
        return errors

    @staticmethod
    def _name_errors(obj: Obj) -> list[FieldError]:
        spec, name = obj["spec"], obj["metadata"]["name"]
        errors = [
            FieldError("FieldValueRequired", f"spec.names.{field}")
            for field in ("plural", "kind")
            if not spec["names"].get(field)
        ]
        errors += [
            FieldError("FieldValueRequired", f"spec.{field}")
            for field in ("group", "versions")
            if not spec.get(field)
        ]
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            detail = 'supported values: "Cluster", "Namespaced"'
            errors.append(
                FieldError("FieldValueNotSupported", "spec.scope", detail, spec.get("scope") or "")
            )
        wanted = f"{spec['names'].get('plural')}.{spec.get('group')}"
        if not errors and name != wanted:
            detail = 'must be spec.names.plural+"."+spec.group'
            errors.append(FieldError("FieldValueInvalid", "metadata.name", detail, name))
        return errors


def _version_errors(version: Obj, path: str) -> list[FieldError]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    where = f"{path}.schema.openAPIV3Schema"
    if not schema:
        return [FieldError("FieldValueRequired", where, "schemas are required")]
    errors = _structural_errors(schema, where) + rule_errors(schema, where)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        try:
            check_path(column.get("jsonPath", ""))
        except JsonPathError as error:
            place = f"{path}.additionalPrinterColumns[{index}].jsonPath"
            value = column.get("jsonPath", "")
            errors.append(FieldError("FieldValueInvalid", place, str(error), value))
    return errors


def _structural_errors(schema: Obj, path: str) -> list[FieldError]:
    """Every node says its type: what a schema leaves open could not be pruned."""
    free = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    if not schema.get("type") and not free:
        detail = "must not be empty for specified object fields"
        return [FieldError("FieldValueRequired", f"{path}.type", detail)]
    errors: list[FieldError] = []
    for name, part in (schema.get("properties") or {}).items():
        errors += _structural_errors(part, f"{path}.properties[{name}]")
    if schema.get("type") == "array":
        if not isinstance(schema.get("items"), dict):
            return [*errors, FieldError("FieldValueRequired", f"{path}.items", "must be specified")]
        errors += _structural_errors(schema["items"], f"{path}.items")
    if isinstance(schema.get("additionalProperties"), dict):
        errors += _structural_errors(schema["additionalProperties"], f"{path}.additionalProperties")
    return errors
