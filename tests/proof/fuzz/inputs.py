"""What is tried: documents as they should be, and the same with a few places damaged."""

import copy
from typing import Any, Final

import yaml
from hypothesis import strategies as st

from api.conftest import CRD

#: A value that stands where secrets do, and must be in no message; it looks like none.
SECRET: Final = "s3cr3tS3CR3Ts3cr3tS3CR3T"
SCHEMA: Final = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]

#: What can stand in a Kubernetes object: the API server's JSON has no lone surrogates.
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
#: Numbers with too many digits, nests that are too deep, ends of lines, words of other languages.
NASTY: Final = st.sampled_from(
    [
        "",
        "\x00",
        "\n",
        "5Gi\n",
        "hf://org/model\n",
        "-",
        "--",
        "nan",
        "inf",
        "-0",
        "1e999",
        "None",
        "null",
        "{}",
        "__proto__",
        "../../etc/passwd",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "\N{SUPERSCRIPT TWO}",
        "9" * 400 + "k",
        "9" * 5000,
        "[" * 3000,
        '{"a":' * 600,
        "a." * 1500 + "a",
        "\N{ZERO WIDTH JOINER}" * 40,
    ]
)
JUNK: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([2**31 - 1, 2**31, -(2**63), 2**64, 10**30, 10**400]),
    st.floats(),
    TEXT,
    NASTY,
    st.lists(st.integers(-3, 300), max_size=3),
    st.dictionaries(TEXT, st.integers(-3, 300), max_size=2),
)
ANYTHING: Final = st.recursive(
    JUNK, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
QUANTITY: Final = st.builds(
    "{}{}".format, st.integers(0, 10**4), st.sampled_from(["", "n", "m", "k", "Ki", "M", "Mi", "G", "Gi", "Ti", "Ei"])
)
URIS: Final = st.sampled_from(
    [
        "hf://org/model",
        "hf://org/model\n",
        "pvc://claim/path",
        "pvc://claim",
        "oci://example.test/model:1",
        "oci://[",
        "hf://org",
        "s3://b/k",
    ]
)


def values(node: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """What a node of the CRD's schema takes; rules between fields are left out."""
    if name == "uri":
        return URIS
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return QUANTITY if "pattern" in node else st.integers(1, 10**6) | st.just("Auto")
    match node.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            ends = node["minimum"], node["maximum"]
            return st.sampled_from(ends) | st.integers(*ends)
        case "string":
            most = node.get("maxLength", 60)
            return (
                st.from_regex(node["pattern"], fullmatch=True).filter(lambda text: len(text) <= most)
                if "pattern" in node
                else TEXT
            )
        case "array":
            return st.lists(values(node["items"]), min_size=node.get("minItems", 0), max_size=2)
    if "properties" in node:
        fields = {key: values(child, key) for key, child in node["properties"].items()}
        needed = {key: fields.pop(key) for key in node.get("required", ())}
        return st.fixed_dictionaries(needed, optional=fields)
    if "additionalProperties" in node:
        return st.dictionaries(TEXT, values(node["additionalProperties"]), max_size=2)
    return st.dictionaries(TEXT, ANYTHING, max_size=2)


@st.composite
def damaged(draw: st.DrawFn, documents: st.SearchStrategy[Any], most: int = 3) -> Any:
    """Of a document up to `most` places are replaced by anything, taken away or added to."""
    document = copy.deepcopy(draw(documents))
    for _ in range(draw(st.integers(0, most))):
        document = _damage(draw, document)
    return document


def _damage(draw: st.DrawFn, node: Any) -> Any:
    """`node` with one place of it changed."""
    how = draw(st.sampled_from(["inside", "inside", "inside", "here", "away", "more"]))
    if how == "here" or not isinstance(node, dict | list) or not node:
        return draw(ANYTHING)
    if isinstance(node, list):
        at = draw(st.integers(0, len(node) - 1))
        changed = {"away": [], "more": [node[at], draw(ANYTHING)]}
        return [*node[:at], *changed.get(how, [_damage(draw, node[at])] if how == "inside" else []), *node[at + 1 :]]
    key = draw(st.sampled_from(sorted(node, key=str)))
    if how == "more":
        return {**node, draw(TEXT): draw(ANYTHING)}
    if how == "away":
        return {name: value for name, value in node.items() if name != key}
    return {**node, key: _damage(draw, node[key])}
