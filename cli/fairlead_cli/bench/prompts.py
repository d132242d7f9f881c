"""Prompts of about N tokens without the model's tokenizer: words, as many as the server's own count asks for.

vLLM's random dataset decodes random token numbers, and needs the tokenizer for it. Here a server that counts 1.3 tokens for a word
is sent fewer words. No two prompts of a run begin alike, so that a prefix cache gives nothing that it would not give to strangers.
What the prompts really had is reported, from the server's `usage`.
"""

import random
from collections.abc import Awaitable, Callable

#: Short and common: most tokenizers take one token for each.
_TEXT = """
    time year people way day man thing woman life child world school state family student group country problem hand part
    place case week company system program question work government number night point home water room mother area money story
    fact month lot right study book eye job word business issue side kind head house service friend father power hour game line
    end member law car city community name president team minute idea kid body information back parent face others level office
    door health person art war history party result change morning reason research girl guy moment air teacher force education
    foot boy age policy music market sense nation plan college interest death experience effect use class control care field
    development role effort rate heart drug show leader light voice wife police mind price report decision son view relationship
    town road arm difference value building action season society tax director position player record paper space ground form
    event official matter center couple site project hit base activity star table need court oil situation cost industry figure
    street image phone data picture practice piece land product doctor wall patient worker news test movie north love step
"""
WORDS = tuple(_TEXT.split())


def prompt(words: int, *seed: object) -> str:
    """The same words for the same seed."""
    return " ".join(random.Random("/".join(map(str, seed))).choices(WORDS, k=words))  # noqa: S311


#: Prompts of each length that are counted: words differ in their tokens.
PROBES = 4


async def words_for(tokens: int, count: Callable[[str], Awaitable[int | None]]) -> int:
    """How many words make a prompt of `tokens` tokens. count: the server's number for a prompt, None if it tells none.

    Short prompts and longer ones tell the tokens of a word apart from those of the chat template.
    """
    few, more = 1, max(32, tokens // 4)
    low, high = 0, 0
    for number in range(PROBES):
        for words in (few, more):
            counted = await count(prompt(words, "calibration", words, number))
            if counted is None:
                return tokens
            low, high = (low + counted, high) if words == few else (low, high + counted)
    if high <= low:
        return tokens
    per_word = (high - low) / PROBES / (more - few)
    return max(1, round((tokens - low / PROBES) / per_word) + few)
