"""Prompts of about so many tokens, by the server's own count."""

import pytest

from fairlead_cli.bench.prompts import prompt, words_for


def test_a_seed_makes_the_same_words_and_another_seed_others() -> None:
    assert prompt(40, 7, "level", 1) == prompt(40, 7, "level", 1)
    assert len({prompt(40, 7, "level", number) for number in range(50)}) == 50


@pytest.mark.parametrize(
    ("per_word", "template", "expected"),
    [
        pytest.param(1, 0, 128, id="a token for a word"),
        pytest.param(4, 0, 32, id="four tokens for a word"),
        pytest.param(1, 28, 100, id="a chat template's tokens count too"),
        pytest.param(2, 300, 1, id="a template longer than the prompt: one word at least"),
        pytest.param(0, 0, 128, id="a server that counts nothing new"),
    ],
)
async def test_the_prompt_has_the_length_that_was_asked_for(per_word: int, template: int, expected: int) -> None:
    async def count(text: str) -> int:
        return template + per_word * len(text.split())

    assert await words_for(128, count) == expected


async def test_words_of_different_lengths_are_averaged() -> None:
    async def count(text: str) -> int:
        return sum(1 + len(word) // 3 for word in text.split())

    made = await words_for(1000, count)

    assert abs(await count(prompt(made, "another")) - 1000) < 50


async def test_a_server_that_does_not_count_gets_as_many_words_as_tokens() -> None:
    async def count(_: str) -> None:
        return None

    assert await words_for(128, count) == 128
