"""From pydantic's JSON schema to the structural schema that a CustomResourceDefinition accepts.

pydantic writes JSON Schema 2020-12; a CRD takes a subset of an older draft, without references, null types and some keywords,
and stores no default that the API should not promise. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Schema = dict[str, Any]

#: Written by pydantic, refused or silently dropped by the API server, or noise in `kubectl explain`.
_FORBIDDEN: Final = frozenset({"title", "$defs", "additionalProperties", "discriminator", "examples", "propertyNames"})
_INT32: Final = 2**31 - 1


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of `model` by its wire names. Raises ValueError on a construct that has no structural form."""
    raw = model.model_json_schema(by_alias=True, schema_generator=_Described)
    converted = _convert(raw, raw.get("$defs", {}), path=model.__name__)
    # A definition used twice shares its lists, which YAML would write as anchors and aliases: the round trip copies them.
    copied: Schema = json.loads(json.dumps(converted))
    return copied


class _Described(GenerateJsonSchema):
    """With each attribute's docstring as its description.

    pydantic can do this too, but whenever a model is defined: then every start of a program waits until all source was read.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        made = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        properties = made.get("properties", {})
        for name, text in attribute_docstrings(model).items():
            field = model.model_fields.get(name)
            if field and (described := properties.get(field.alias or name)) is not None:
                described.setdefault("description", text)
        return made


def attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """By attribute: the string right below it, in the model or in one that it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            found |= dict(_docstrings(ast.parse(textwrap.dedent(inspect.getsource(each)))))
    return found


def _docstrings(module: ast.Module) -> Iterator[tuple[str, str]]:
    (definition,) = module.body
    assert isinstance(definition, ast.ClassDef)
    for first, second in itertools.pairwise(definition.body):
        match first, second:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    node = _resolved(node, definitions, path)
    converted = {key: value for key, value in node.items() if key not in _FORBIDDEN}
    if "description" in converted:
        converted["description"] = inspect.cleandoc(converted["description"]).replace("\n", " ")
    # Objects and lists get no default: `{}` in every stored object would hide what the user wrote.
    if isinstance(converted.get("default"), dict | list) or converted.get("default", "") is None:
        del converted["default"]
    if "const" in converted:
        converted["enum"] = [converted.pop("const")]
    if converted.get("x-kubernetes-int-or-string"):
        return converted
    if "anyOf" in converted or "allOf" in converted or "oneOf" in converted:
        raise ValueError(f"{path}: a union has no structural schema; give the field its own with WithJsonSchema")

    if "properties" in node:
        converted["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}") for name, child in node["properties"].items()
        }
    if "items" in node:
        converted["items"] = _convert(node["items"], definitions, f"{path}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        converted["additionalProperties"] = _convert(node["additionalProperties"], definitions, f"{path}.*")
    elif isinstance(node.get("patternProperties"), Mapping):
        # A map whose keys have a pattern: the API server knows no such thing, only the values' schema remains.
        (child,) = converted.pop("patternProperties").values()
        converted["additionalProperties"] = _convert(child, definitions, f"{path}.*")
    if converted.get("type") == "integer":
        converted["format"] = "int32" if converted.get("maximum", _INT32 + 1) <= _INT32 else "int64"
    return converted


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """`node` with its reference inlined and its null branch gone; what stands beside a reference wins over it."""
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        return _resolved({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions, path)
    if "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
        branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        if len(branches) == 1:
            beside = {k: v for k, v in node.items() if k != "anyOf"}
            return _resolved({**_resolved(branches[0], definitions, path), **beside}, definitions, path)
    return node


def unbounded(schema: Mapping[str, Any], path: str = "") -> list[str]:
    """Paths of strings, lists and maps without an upper bound. CEL's cost estimate assumes the worst for each of them."""
    found: list[str] = []
    kind = schema.get("type")
    if kind == "string" and not ({"maxLength", "enum", "format"} & schema.keys()):
        found.append(path)
    if kind == "array" and "maxItems" not in schema:
        found.append(path)
    if "additionalProperties" in schema and "maxProperties" not in schema:
        found.append(path)
    children = dict(schema.get("properties", {}))
    children |= {"[]": schema["items"]} if "items" in schema else {}
    children |= {"*": schema["additionalProperties"]} if "additionalProperties" in schema else {}
    for name, child in children.items():
        found += unbounded(child, f"{path}.{name}")
    return found
