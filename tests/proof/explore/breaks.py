"""One thing wrong in an otherwise sound spec, and the field that the API server is to name for it."""

from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from api import shapes
from proof.explore.rules import RULES, Spec, laid_over, mended
from proof.explore.schema import SPEC
from proof.explore.specs import sound

#: What stands behind the message of a refusal without being a cause of it.
NOT_CHECKED: Final = "some validation rules were not checked"
#: What no value outside the first's bounds can hold as well: least replicas beyond every number of most replicas.
COUPLED: Final = {"spec.autoscaling.minReplicas": {"spec.autoscaling.maxReplicas"}}
UNKNOWN: Final = "notAField"


@dataclass(frozen=True)
class Break:
    """`field` as the API server writes it; `why` for people."""

    spec: Spec
    field: str
    why: str


def field_of(path: shapes.Path) -> str:
    """A path of the schema as the API server writes it: first item of a list, `key` of a map."""
    names = {"[]": "[0]", "{}": ".key"}
    return "".join(["spec", *(names.get(part, f".{part}") for part in path)])


def bounds() -> st.SearchStrategy[Break]:
    """A value just outside one bound, whatever stands beside it."""
    return st.builds(_beyond, sound(), st.sampled_from(list(shapes.bounds(SPEC))))


def _beyond(base: Spec, bound: shapes.Bound) -> Break:
    required = bound.keyword.partition("requires ")[2]
    path = (*bound.path, required) if required else bound.path
    return Break(
        _placed(base, bound.path, bound.outside), field_of(path), f"{bound.title}: {str(bound.outside)[:40]!r}"
    )


def _placed(base: Spec, path: shapes.Path, value: Any) -> Spec:
    """The base with its whole part of the spec replaced by the smallest one that has the value."""
    if not path:
        return value if isinstance(value, dict) else base
    return {**base, path[0]: shapes.around(SPEC, path, value)[path[0]]}


_WRONG: Final[dict[str, tuple[Any, ...]]] = {
    "object": ("x", 1, []),
    "array": ("x", {}, 1),
    "string": (1, True, {}, []),
    "integer": ("1", True, 1.5, {}),
    "boolean": ("true", 1, {}),
    "": (True, {}, [], 1.5),
}


def types() -> st.SearchStrategy[Break]:
    """A value of another type."""
    return st.builds(_mistyped, sound(), st.sampled_from(_TYPED))


_TYPED: Final = [
    (path, kind, value)
    for path, node in shapes.nodes(SPEC)
    if path
    for kind in (node.get("type", ""),)
    for value in _WRONG[kind]
]


def _mistyped(base: Spec, case: tuple[shapes.Path, str, Any]) -> Break:
    path, kind, value = case
    return Break(
        _placed(base, path, value), field_of(path), f"{'.'.join(path)} is {value!r}, not {kind or 'a number or a word'}"
    )


def unknown() -> st.SearchStrategy[Break]:
    """A field that there is not."""
    return st.builds(_extended, sound(), st.sampled_from(_OBJECTS))


_OBJECTS: Final = [(path, node) for path, node in shapes.nodes(SPEC) if "properties" in node]


def _extended(base: Spec, case: tuple[shapes.Path, shapes.Schema]) -> Break:
    path, node = case
    if not path:
        return Break({**base, UNKNOWN: 1}, f"spec.{UNKNOWN}", "unknown field")
    return Break(
        _placed(base, path, {**shapes.minimal(node), UNKNOWN: 1}), f"{field_of(path)}.{UNKNOWN}", "unknown field"
    )


def twins() -> st.SearchStrategy[Break]:
    """The same item twice in a list that takes it once."""
    return st.builds(_doubled, sound(), st.sampled_from(_LISTS))


_LISTS: Final = [
    (path, node) for path, node in shapes.nodes(SPEC) if node.get("x-kubernetes-list-type") in {"map", "set"}
]


def _doubled(base: Spec, case: tuple[shapes.Path, shapes.Schema]) -> Break:
    path, node = case
    item = shapes.minimal(node["items"])
    twice = [{**item, "value": "x"}] * 2 if path[-1] == "env" else [item] * 2
    return Break(_placed(base, path, twice), f"{field_of(path)}[1]", f"{'.'.join(path)} has a twin")


def rules() -> st.SearchStrategy[Break]:
    """Two fields that contradict each other."""
    return st.builds(_contradicting, sound(), st.sampled_from(RULES))


def _contradicting(base: Spec, rule: Any) -> Break:
    # Mended first: what stands in the base must not contradict the two.
    spec = laid_over(mended(laid_over(base, rule.broken)), rule.broken)
    return Break(spec, rule.field, rule.message)


def breaks() -> st.SearchStrategy[Break]:
    """Any of them; bounds are the most."""
    return st.one_of(bounds(), bounds(), types(), unknown(), twins(), rules())
