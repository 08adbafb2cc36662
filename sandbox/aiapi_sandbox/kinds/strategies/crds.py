"""CustomResourceDefinitions: names, versions, structural schemas and CEL rules that compile."""

from __future__ import annotations

from aiapi_sandbox.apimachinery.errors import FieldViolation, Obj
from aiapi_sandbox.apimachinery.jsonpath import JsonPathError, check_path
from aiapi_sandbox.kinds.cel_rules import rule_errors
from aiapi_sandbox.kinds.strategies.base import Strategy


class CRDStrategy(Strategy):
    """Rejects a CRD that could not be served."""

    def prepare_for_create(self, obj: Obj) -> None:
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

    def prepare_for_update(self, obj: Obj, old: Obj, subresource: str | None) -> None:
        if subresource != "status":
            self.prepare_for_create(obj)
            obj["status"] = old["status"]

    def validate_create(self, obj: Obj) -> list[FieldViolation]:
        spec = obj["spec"]
        errors = self._name_errors(obj)
        versions = spec.get("versions") or []
        if sum(1 for item in versions if item.get("storage")) != 1:
            detail = "must have exactly one version marked as storage version"
            errors.append(
                FieldViolation("FieldValueInvalid", "spec.versions", detail, len(versions))
            )
        if (spec.get("conversion") or {}).get("strategy") != "None":
            detail = 'supported values: "None"'
            strategy = spec["conversion"].get("strategy")
            where = "spec.conversion.strategy"
            errors.append(FieldViolation("FieldValueNotSupported", where, detail, strategy))
        for index, version in enumerate(versions):
            errors += _version_errors(version, f"spec.versions[{index}]")
        return errors

    def validate_update(self, obj: Obj, old: Obj, subresource: str | None) -> list[FieldViolation]:
        if subresource == "status":
            return []
        errors = self.validate_create(obj)
        for path in ("group", "scope"):
            if obj["spec"].get(path) != old["spec"].get(path):
                value = obj["spec"].get(path)
                detail = "field is immutable"
                errors.append(FieldViolation("FieldValueInvalid", f"spec.{path}", detail, value))
        return errors

    @staticmethod
    def _name_errors(obj: Obj) -> list[FieldViolation]:
        spec, name = obj["spec"], obj["metadata"]["name"]
        errors = [
            FieldViolation("FieldValueRequired", f"spec.names.{field}")
            for field in ("plural", "kind")
            if not spec["names"].get(field)
        ]
        errors += [
            FieldViolation("FieldValueRequired", f"spec.{field}")
            for field in ("group", "versions")
            if not spec.get(field)
        ]
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            detail = 'supported values: "Cluster", "Namespaced"'
            errors.append(
                FieldViolation(
                    "FieldValueNotSupported", "spec.scope", detail, spec.get("scope") or ""
                )
            )
        wanted = f"{spec['names'].get('plural')}.{spec.get('group')}"
        if not errors and name != wanted:
            detail = 'must be spec.names.plural+"."+spec.group'
            errors.append(FieldViolation("FieldValueInvalid", "metadata.name", detail, name))
        return errors


def _version_errors(version: Obj, path: str) -> list[FieldViolation]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    where = f"{path}.schema.openAPIV3Schema"
    if not schema:
        return [FieldViolation("FieldValueRequired", where, "schemas are required")]
    errors = _structural_errors(schema, where) + rule_errors(schema, where)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        try:
            check_path(column.get("jsonPath", ""))
        except JsonPathError as error:
            location = f"{path}.additionalPrinterColumns[{index}].jsonPath"
            value = column.get("jsonPath", "")
            errors.append(FieldViolation("FieldValueInvalid", location, str(error), value))
    return errors


def _structural_errors(schema: Obj, path: str) -> list[FieldViolation]:
    """Every node of a structural schema has a type; otherwise it could not be pruned."""
    untyped = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    if not schema.get("type") and not untyped:
        detail = "must not be empty for specified object fields"
        return [FieldViolation("FieldValueRequired", f"{path}.type", detail)]
    errors: list[FieldViolation] = []
    for name, part in (schema.get("properties") or {}).items():
        errors += _structural_errors(part, f"{path}.properties[{name}]")
    if schema.get("type") == "array":
        if not isinstance(schema.get("items"), dict):
            return [
                *errors,
                FieldViolation("FieldValueRequired", f"{path}.items", "must be specified"),
            ]
        errors += _structural_errors(schema["items"], f"{path}.items")
    if isinstance(schema.get("additionalProperties"), dict):
        errors += _structural_errors(schema["additionalProperties"], f"{path}.additionalProperties")
    return errors
