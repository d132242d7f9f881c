"""From the CRD's schema to values just inside and just outside each of its bounds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
#: Where a node is: property names, `[]` for an item, `{}` for a map's value.
Path = tuple[str, ...]

#: One of these matches every pattern of the CRD.
SAMPLES = ("hf://a/b", "a", "1Gi", "A")
#: Prefixes for strings of a wanted length.
STEMS = ("hf://a/", "", "1")


@dataclass(frozen=True)
class Bound:
    """One limit: `inside` must be accepted at `path`, `outside` refused with a message that has `words`."""

    path: Path
    keyword: str
    inside: Any
    outside: Any
    words: str

    @property
    def title(self) -> str:
        """For the test's name."""
        return f"{'.'.join(self.path)} {self.keyword}"


def nodes(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every node below and including `schema`."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, (*path, name))
    if "items" in schema:
        yield from nodes(schema["items"], (*path, "[]"))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], (*path, "{}"))


def minimal(schema: Schema) -> Any:
    """The smallest valid value of a node."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: minimal(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return []
        case "integer":
            return max(schema.get("minimum", 0), 0)
        case "boolean":
            return True
    return next(sample for sample in SAMPLES if re.match(schema.get("pattern", ""), sample))


def long(schema: Schema, length: int) -> str:
    """A string of exactly this length that the node's pattern allows."""
    strings = (stem + ("1" if stem == "1" else "a") * (length - len(stem)) for stem in STEMS)
    return next(text for text in strings if re.match(schema.get("pattern", ""), text) and len(text) == length)


def bounds(spec: Schema) -> Iterator[Bound]:
    """Every bound of the spec's schema."""
    for path, node in nodes(spec):
        if "maximum" in node:
            yield Bound(path, "maximum", node["maximum"], node["maximum"] + 1, "should be less than or equal to")
        if "minimum" in node:
            yield Bound(path, "minimum", node["minimum"], node["minimum"] - 1, "should be greater than or equal to")
        if "enum" in node:
            yield from (Bound(path, f"enum {word}", word, "Nonsense", "Unsupported value") for word in node["enum"])
        if "maxItems" in node:
            inside, outside = (_items(node["items"], node["maxItems"] + more) for more in (0, 1))
            yield Bound(path, "maxItems", inside, outside, "must have at most")
        if "maxProperties" in node:
            most, more = ({f"k{n}": "v" for n in range(node["maxProperties"] + extra)} for extra in (0, 1))
            yield Bound(path, "maxProperties", most, more, "must have at most")
        if node.get("type") == "string" or node.get("x-kubernetes-int-or-string"):
            yield from _strings(path, node)
        for name in node.get("required", ()):
            whole = minimal(node)
            lacking = {key: value for key, value in whole.items() if key != name}
            yield Bound(path, f"requires {name}", whole, lacking, "Required value")


def _strings(path: Path, node: Schema) -> Iterator[Bound]:
    if "pattern" in node:
        yield Bound(path, "pattern", minimal(node), " never ", "should match")
    if node.get("minLength"):
        yield Bound(path, "minLength", minimal(node), "", "should be at least 1 chars long")
    if "maxLength" in node and not node.get("x-kubernetes-int-or-string"):
        text = long(node, node["maxLength"])
        yield Bound(path, "maxLength", text, text + "a", "Too long")


def _items(schema: Schema, count: int) -> list[Any]:
    """Distinct items."""
    if schema["type"] == "integer":
        return [schema.get("minimum", 0) + n for n in range(count)]
    if schema["type"] == "string":
        return [f"--a{n}" for n in range(count)]
    return [{**minimal(schema), **({"name": f"a{n}"} if "name" in schema["properties"] else {})} for n in range(count)]


def place(spec: Schema, path: Path, value: Any) -> Any:
    """The smallest valid spec that has `value` at `path`."""
    if not path:
        return value
    name, rest = path[0], path[1:]
    if name == "[]":
        return [place(spec["items"], rest, value)]
    if name == "{}":
        return {"key": place(spec["additionalProperties"], rest, value)}
    return {**minimal(spec), name: place(spec["properties"][name], rest, value)}


def around(spec: Schema, path: Path, value: Any) -> Any:
    """The same, and what rules between fields ask for beside it."""
    whole = place(spec, path, value)
    if path[:1] == ("serving",) and "drainSeconds" in path:
        whole["serving"]["requestTimeoutSeconds"] = 1
    if path[:2] == ("autoscaling", "minReplicas"):
        whole["autoscaling"]["maxReplicas"] = 1000
    env = whole.get("engine", {}).get("env", []) if isinstance(whole.get("engine", {}), dict) else []
    for entry in env if isinstance(env, list) else []:
        if isinstance(entry, dict) and "valueFrom" not in entry:
            entry.setdefault("value", "x")
    return whole
