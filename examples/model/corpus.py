"""The small text that the demo's model learns: topics in corpus/*.txt, many phrasings each, drawn at random.

A topic is a block of lines, separated by blank lines, `#` starting a comment:

    Q: {What is|What's} fairlead?       a question; one of the alternatives in braces is taken each time
    What: a KV cache, KV cache          a thing to explain: its names, put into the questions people ask about things
    How: scale, add replicas            something to do: put into "How do I ...?"
    Condition: Ready   Reason: X   Field: y      the same for status conditions, their reasons, and fields of the spec
    A: The answer, one line.

The standard library only, so that the text can be checked without the packages that training needs.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parent / "corpus"
HELD_OUT = FOLDER / "held-out.txt"

#: How people ask, by kind of topic; X is one of the topic's names.
PHRASINGS = {
    "What": (
        "What {is|are|does|about} X?",
        "What's X?",
        "What is X{| good for| for| about}?",
        "What does X {mean|do}?",
        "{Explain|Describe|Define} X{| to me| please| in short}",
        "Tell me {|more |something }about X",
        "{Can|Could} you {explain|describe|tell me about} X{| to me}?",
        "{Can|Could} you tell me what X {is|means}?",
        "How does X work?",
        "Why {do I need|is there|should I care about|use} X?",
        "X?",
        "X",
        "I {do not|don't} {understand|know} X",
        "What do you know about X?",
        "What {exactly|really} is X?",
    ),
    "How": (
        "How {do I|can I|would I|should I|does one|do we|do you} X?",
        "{I want to|I need to|I would like to} X",
        "{Show|Tell|Explain to} me how to X",
        "{What|What's the} {is the way|way|command|best way} to X?",
        "What {must|should} I do to X?",
        "{Can I|Is it possible to|May I} X?",
        "How to X?",
        "Help me {|to }X",
    ),
    "Condition": (
        "What does {|the condition }X mean?",
        "What is {|the condition }X?",
        "Explain {|the condition }X",
        "When is X {True|False|set}?",
        "{Why is X False|X is False, why}?",
        "X is False{|. What now?|, what do I do?}",
        "What does X=False mean?",
        "What does {it mean|it say} when X is {True|False}?",
        "Tell me about {|the condition }X",
        "X?",
        "What {can|should} I do when X is False?",
        "What is the meaning of X?",
    ),
    "Reason": (
        "What does {|the reason }X mean?",
        "What is {|the reason }X?",
        "{My model|My service|Ready|It|The status} {says|shows|reports} X",
        "How do I {fix|solve|repair|get rid of} X?",
        "What {can|should|do} I do {about|with|against|when I see} X?",
        "I {get|see|have} {X|the reason X|the error X}{|, what now?|. What should I do?|, what can I do?}",
        "X?",
        "X",
        "Why {is Ready False with|do I get|do I see} X?",
        "Ready is False{ because of|:|, reason} X",
        "Explain X{| to me}",
        "{What now|Help}: X",
        "What should I change {for|when I get|after} X?",
        "X{ -|:|.|!| and} {what now|what next|help|why|how do I fix it}?",
        "What causes X?",
        "X, what {now|next}?",
    ),
    "Field": (
        "What {does|is} {|the field }X{| do| for| good for}?",
        "How do I {set|use|choose} X?",
        "Explain {|the field }X{| to me}",
        "When {should|would} I {set|change|use|raise|lower} X?",
        "{What|Which} X {should|do} I {use|set|choose|need}?",
        "What {does|should} {|the field }X {mean|be}?",
        "X?",
        "Tell me about {|the field }X",
        "What {value|number} {should|do} I {use|choose|need} for X?",
        "What happens when I set X?",
        "Do I need {|the field }X?",
        "Why {is there|should I set} X?",
    ),
}

#: What people put around a question.
OPENINGS = (
    "Please tell me: ",
    "Hello, ",
    "Hi, ",
    "Hey, ",
    "So, ",
    "OK, ",
    "Excuse me, ",
    "One question: ",
    "And ",
    "Please, ",
    "Well, ",
)
FILLERS = (
    "really",
    "here",
    "now",
    "again",
    "then",
    "please",
    "exactly",
    "actually",
    "for me",
    "to me",
    "to you",
    "there",
    "of yours",
    "all",
    "in practice",
    "today",
    "at all",
    "just",
    "a lot",
    "to someone new",
    "this",
    "quickly",
    "you",
    "I",
    "so",
    "very",
    "with that",
)
CLOSINGS = (" Please.", " Thanks!", " Thank you.", " please", " I am new to this.", " In short.", " Be brief.")

_BLOCK = re.compile(r"\{([^{}]*)\}")
_KINDS = ("Q", "A", *PHRASINGS)


class CorpusError(ValueError):
    """A file of the corpus breaks the format; the message names file and line."""


@dataclass(frozen=True)
class Topic:
    """One answer and the patterns of the questions that lead to it. `elsewhere`: the answer to all that is off topic."""

    source: str
    patterns: tuple[str, ...]
    answer: str

    @property
    def elsewhere(self) -> bool:
        return self.source == "elsewhere"


@dataclass(frozen=True)
class HeldOut:
    """A question kept out of training, and the words that a right answer contains."""

    question: str
    expected: str


def topics(folder: Path = FOLDER) -> list[Topic]:
    """Every topic of the corpus, in the order of file names and lines."""
    found = [topic for path in sorted(folder.glob("*.txt")) if path.name != HELD_OUT.name for topic in _read(path)]
    if not found:
        raise CorpusError(f"{folder}: no topics; expected *.txt files in the format of corpus.py")
    return found


def held_out(path: Path = HELD_OUT) -> list[HeldOut]:
    """The questions for `train.py --check`."""
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        question, arrow, expected = line.partition(" => ")
        if not arrow or not expected.strip():
            raise CorpusError(f"{path.name}:{number}: write `question => words of the answer`")
        questions.append(HeldOut(question.strip(), expected.strip()))
    return questions


def plain(question: str) -> str:
    """What is left of a question without case, punctuation and spaces: how held-out ones are recognised."""
    return re.sub(r"\W+", "", question).lower()


def ask(topic: Topic, random: Random) -> str:
    """One way of asking for `topic`, with the carelessness of real questions."""
    question = _BLOCK.sub(lambda block: random.choice(block[1].split("|")), random.choice(topic.patterns))
    question = re.sub("NOTHING", lambda _: _made_up_word(random), question)
    if random.random() < 0.15:
        question = _with_filler(question, random)
    if random.random() < 0.15:
        question = random.choice(OPENINGS) + question[0].lower() + question[1:]
    if random.random() < 0.10:
        question += random.choice(CLOSINGS)
    if random.random() < 0.20:
        question = question.lower()
    if random.random() < 0.25:
        question = question.rstrip("?")
    elif question[-1].isalnum() and random.random() < 0.3:
        question += random.choice(("?", ".", "!"))
    if random.random() < 0.08:
        question = _typing_error(question, random)
    return question


def _read(path: Path) -> list[Topic]:
    found: list[Topic] = []
    patterns: list[str] = []
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            if patterns:
                raise CorpusError(f"{path.name}:{number}: the questions above have no `A:` line")
            continue
        kind, colon, text = line.partition(": ")
        if not colon or kind not in _KINDS or line.count("{") != line.count("}"):
            raise CorpusError(
                f"{path.name}:{number}: a line starts with one of {', '.join(_KINDS)}, and its braces pair up: {line!r}"
            )
        if kind == "A":
            if not patterns:
                raise CorpusError(f"{path.name}:{number}: an answer without questions")
            found.append(Topic(path.stem, tuple(patterns), text))
            patterns = []
        elif kind == "Q":
            patterns.append(text)
        else:
            names = [name.strip() for name in text.split(",")]
            patterns += [pattern.replace("X", name) for name in names for pattern in PHRASINGS[kind]]
    if patterns:
        raise CorpusError(f"{path.name}: the last questions have no `A:` line")
    return found


def _with_filler(question: str, random: Random) -> str:
    """A word between the others, or at the end, that changes nothing."""
    words = question.split(" ")
    words.insert(random.randint(1, len(words)), random.choice(FILLERS))
    return " ".join(words)


def _made_up_word(random: Random) -> str:
    """A word that means nothing, so that unknown words as such lead off topic."""
    syllables = random.randint(1, 4)
    word = "".join(
        random.choice("bcdfghjklmnpqrstvwxyz")
        + random.choice("aeiou")
        + random.choice(("", "", "n", "r", "s", "l", "t"))
        for _ in range(syllables)
    )
    return word.capitalize() if random.random() < 0.3 else word


def _typing_error(question: str, random: Random) -> str:
    """Two neighbouring letters swapped, or one lost."""
    if len(question) < 6:
        return question
    place = random.randrange(1, len(question) - 2)
    swapped = question[place + 1] + question[place] if random.random() < 0.5 else question[place]
    return question[:place] + swapped + question[place + 2 :]
