"""Which words is a command string made of?

Compose splits `command` and `entrypoint` like a shell would, without being one: quotes and backslashes are
honoured, variables are not. An unquoted `|`, `&`, `;`, `<`, `>`, backtick or parenthesis is refused: Compose drops
what follows the first five without a word and passes the others on, and nobody means either.

Source: go-shellwords as Compose 2.40 uses it.
"""

from __future__ import annotations

from ops.model.compose.values import refuse

_SHELL_ONLY = frozenset(";&|<>()`")
_BLANKS = frozenset(" \t\r\n")


def split_words(text: str, where: str) -> list[str]:
    """The words of a command string. Raises: ConfigurationError (open quote, a shell's operator)."""
    splitter = _Splitter(where)
    for character in text:
        splitter.take(character)
    return splitter.finish()


class _Splitter:
    def __init__(self, where: str) -> None:
        self._where = where
        self._words: list[str] = []
        self._word = ""
        self._has_word = False
        self._is_escaped = False
        self._within = ""
        """The quote that we are in."""

    def take(self, character: str) -> None:
        if self._is_escaped:
            self._is_escaped = False
            self._add(character)
        elif character == "\\" and self._within != "'":
            self._is_escaped = True
        elif character in _BLANKS and not self._within:
            self._end_word()
        elif self._within:
            self._take_within(character)
        else:
            self._take_plain(character)

    def _take_within(self, character: str) -> None:
        if character == self._within:
            self._within, self._has_word = "", True
        else:
            self._add(character)

    def _take_plain(self, character: str) -> None:
        if character in "'\"":
            self._within = character
        elif character in _SHELL_ONLY:
            raise refuse(
                self._where,
                f"an unquoted {character!r} means nothing without a shell",
                hint=f'write it as ["sh", "-c", "..."], or put {character} in quotes',
            )
        else:
            self._add(character)

    def _add(self, text: str) -> None:
        self._word += text
        self._has_word = True

    def _end_word(self) -> None:
        if self._has_word:
            self._words.append(self._word)
        self._word, self._has_word = "", False

    def finish(self) -> list[str]:
        if self._within or self._is_escaped:
            raise refuse(self._where, "a quote or a backslash is not closed")
        self._end_word()
        return self._words
