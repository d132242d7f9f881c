"""Whatever an engine prints before it ends, and whatever stands in a termination message: a failure, or nothing."""

import json

from hypothesis import strategies as st

from fairlead_runtime.catalogue import CATALOGUE
from fairlead_runtime.diagnosis import CODES, diagnose
from fairlead_runtime.failure import Failure, redact
from fairlead_runtime.termination import MAX_BYTES, Record, read_record
from proof.fuzz.inputs import ANYTHING, NASTY, SECRET, damaged
from proof.fuzz.trying import fuzzed, work

CALLS = 200_000
ANY_TEXT = st.text(max_size=80)
#: With halves of surrogate pairs, as names of files and JSON's escapes can have them.
HALVES = st.text(st.characters() | st.sampled_from("\ud800\udfff"), max_size=3000)
#: Where a number stands in a message.
NUMBERS = st.sampled_from(
    ["0", "00", "-1", "1.2.3", "...", "1,024", "9" * 40, "9" * 5000, "nan", "", "\N{ARABIC-INDIC DIGIT FIVE}"]
)
SAID = st.sampled_from([cause.example for cause in CATALOGUE])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """What an engine says for one of the causes: with other numbers, cut, with a prefix, or something else altogether."""
    text = draw(SAID | ANY_TEXT | NASTY)
    if draw(st.booleans()):
        number = draw(NUMBERS)
        text = "".join(number if character.isdigit() and draw(st.booleans()) else character for character in text[:400])
    start = draw(st.integers(0, 3)) and draw(st.integers(0, len(text)))
    prefix = draw(
        st.sampled_from(
            ["", "(EngineCore_DP0 pid=12) ERROR 11-24 02:10:11 [core.py:953] ", "INFO: ", "    ", "(Worker_TP0 pid=1) "]
        )
    )
    return prefix + text[start:] * draw(st.sampled_from([1, 1, 1, 2, 300]))


#: As logs and addresses carry secrets.
LEAKS = st.sampled_from(
    [
        f"token={SECRET}",
        f"'api_key': '{SECRET}'",
        f"Authorization: Bearer {SECRET}",
        f"https://user:{SECRET}@hub.example/x",
        f"https://s3.example/x?X-Amz-Signature={SECRET}&y=1",
        f"HF_TOKEN = {SECRET}",
        f"hf_{SECRET}",
    ]
)


@fuzzed("log lines", st.lists(lines(), max_size=5), ANY_TEXT, st.lists(LEAKS, max_size=2), st.integers(0, 5), share=0.5)
def test_a_log_is_a_failure_of_a_known_code_that_fits_a_record(
    said: list[str], exception: str, leaks: list[str], at: int
) -> None:
    with work(CALLS):
        failure = diagnose([*said[:at], *leaks, *said[at:]], exception)

    assert failure.code in CODES
    assert failure.message
    assert SECRET not in f"{failure.message} {failure.suggestion}"
    text = Record(failure, "loading", "0.33.0").to_json()
    assert len(text.encode()) <= MAX_BYTES
    again = read_record(text)
    assert again is not None
    assert (again.failure.code, again.failure.field, again.phase) == (failure.code, failure.field, "loading")


@fuzzed("records as written", st.sampled_from(sorted(CODES)), HALVES, HALVES, st.integers(1, 4))
def test_a_record_fits_whatever_its_message(code: str, message: str, suggestion: str, times: int) -> None:
    text = Record(Failure(code, message * times, "spec.engine", suggestion * times), "loading").to_json()

    assert len(text.encode()) <= MAX_BYTES
    again = read_record(text)
    assert again is not None
    assert again.failure.code == code
    again.failure.message.encode()


WRITTEN = damaged(
    st.fixed_dictionaries({
        "code": st.sampled_from(sorted(CODES)), "message": HALVES, "field": st.just("spec.engine"),
        "suggestion": ANY_TEXT, "phase": st.just("loading"), "engineVersion": st.just("0.33.0"),
    })
)  # fmt: skip


@fuzzed(
    "termination messages",
    st.one_of((WRITTEN | ANYTHING).map(json.dumps), NASTY, NASTY.map(lambda text: text * 2), ANY_TEXT),
)
def test_a_termination_message_is_a_record_or_none(text: str) -> None:
    record = read_record(text[:MAX_BYTES])

    if record is not None:
        assert record.failure.code
        json.dumps([record.failure.message, record.failure.field, record.phase], ensure_ascii=False).encode()


@fuzzed("redacting", st.lists(LEAKS | ANY_TEXT, max_size=4))
def test_nothing_secret_is_left(parts: list[str]) -> None:
    told = redact(" ".join(parts))

    assert SECRET not in told
