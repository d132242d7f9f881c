"""From the CRD's schema to Hypothesis strategies: any value that a node's type, bounds, enum and pattern allow.

What a schema cannot say (rules between fields, and what the cluster of the test can carry) comes from outside as `own`: a strategy
for the nodes at some paths.
"""

import random
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from api import shapes
from api.conftest import CRD

SCHEMA: Final = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC: Final[shapes.Schema] = SCHEMA["properties"]["spec"]
#: A rule that is a pattern.
_MATCHES: Final = re.compile(r"self\.matches\('(.*)'\)")
#: Optional fields of one object that are set at the same time, at most: more of them leave little that works.
MOST_FIELDS: Final = 6
#: Items of a list or a map, unless its bound itself is tried.
MOST_ITEMS: Final = 3
#: Any character that JSON and etcd carry, control characters among them.
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

Own = Mapping[shapes.Path, st.SearchStrategy[Any]]


def examples(strategy: st.SearchStrategy[Any], count: int, number: int) -> list[Any]:
    """So many values, always the same ones for the same `number`."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    # Hypothesis gives up early where values repeat; it begins with the smallest ones, which come last here in no special order.
    random.Random(number).shuffle(found)
    return found[:count]


def values(node: shapes.Schema, own: Own, path: shapes.Path = ()) -> st.SearchStrategy[Any]:
    """What the schema takes at this node."""
    if path in own:
        return own[path]
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return _quantities(node) if "pattern" in node else _numbers_or_words(node)
    match node.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            least, most = node["minimum"], node["maximum"]
            return st.one_of(st.sampled_from([least, most]), st.integers(least, most))
        case "string":
            return _strings(node)
        case "array":
            return _lists(node, own, path)
    if "additionalProperties" in node:
        entries = values(node["additionalProperties"], own, (*path, "{}"))
        keys = own.get((*path, "{key}"), TEXT)
        return st.dictionaries(keys, entries, max_size=MOST_ITEMS)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return _anything()
    return _objects(node, own, path)


def _objects(node: shapes.Schema, own: Own, path: shapes.Path) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values(child, own, (*path, name)) for name, child in node["properties"].items()}
    needed = frozenset(node.get("required", ()))
    optional = sorted(fields.keys() - needed)
    chosen = st.lists(st.sampled_from(optional), max_size=MOST_FIELDS, unique=True) if optional else st.just([])
    # A dictionary of strategies is drawn from in the order of its keys: the same values for the same choice.
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in sorted({*needed, *names})})
    )


def _lists(node: shapes.Schema, own: Own, path: shapes.Path) -> st.SearchStrategy[list[Any]]:
    keys = node.get("x-kubernetes-list-map-keys")
    unique: Any = (lambda item: tuple(item[key] for key in keys)) if keys else None
    if node.get("x-kubernetes-list-type") == "set":
        unique = repr
    return st.lists(values(node["items"], own, (*path, "[]")), max_size=MOST_ITEMS, unique_by=unique)


def _strings(node: shapes.Schema) -> st.SearchStrategy[str]:
    least, most = node.get("minLength", 0), node["maxLength"]
    rules = [rule["rule"] for rule in node.get("x-kubernetes-validations", ())]
    pattern = node.get("pattern") or next((found[1] for rule in rules if (found := _MATCHES.search(rule))), None)
    if pattern is None:
        return st.one_of(TEXT.filter(lambda text: len(text) >= least), st.just("a" * most))
    short = st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    taken = short.filter(lambda text: least <= len(text) <= most and ".." not in text)
    return st.one_of(taken, taken, st.just(shapes.long({**node, "pattern": pattern}, most)))


def _quantities(node: shapes.Schema) -> st.SearchStrategy[int | str]:
    """More than 0. Most are amounts that somebody might write; the rest is whatever the pattern takes."""
    usual = st.builds(
        lambda number, unit: f"{number}{unit}", st.integers(1, 512), st.sampled_from(["m", "", "Ki", "Mi", "Gi", "Ti"])
    )
    odd = st.from_regex(node["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
    taken = odd.filter(lambda text: len(text) <= node["maxLength"] and bool(re.search("[1-9]", text)))
    return st.one_of(usual, usual, st.integers(1, 2**40), taken)


def _numbers_or_words(node: shapes.Schema) -> st.SearchStrategy[int | str]:
    """Bounds and words of a field that is a number or a word, from its rule."""
    rule = node["x-kubernetes-validations"][0]["rule"]
    least, most = (int(found) for found in re.findall(r"self [<>]= (\d+)", rule))
    words = re.findall(r"self == '(\w+)'", rule)
    return st.one_of(st.integers(least, most), st.sampled_from([least, most, *words]))


def _anything() -> st.SearchStrategy[dict[str, Any]]:
    """An object of any content."""
    scalars = st.one_of(st.booleans(), st.integers(-(2**31), 2**31), TEXT)
    inner = st.recursive(
        scalars,
        lambda deeper: st.one_of(st.lists(deeper, max_size=2), st.dictionaries(TEXT, deeper, max_size=2)),
        max_leaves=4,
    )
    return st.dictionaries(TEXT, inner, max_size=2)
