"""How are a statement's words read one after the other?"""

from __future__ import annotations

from collections.abc import Iterable

from ops.model.sql_statements import Token


class Words:
    """A cursor over a statement's tokens."""

    def __init__(self, tokens: Iterable[Token], line: int) -> None:
        self.tokens = list(tokens)
        self.line = line
        self.place = 0

    def take(self, *words: str) -> bool:
        """Step over these words if they come next."""
        here = self.tokens[self.place : self.place + len(words)]
        if [token.text for token in here] != list(words) or any(token.kind == "name" for token in here):
            return False
        self.place += len(words)
        return True

    def skip(self, *phrases: str) -> None:
        """Step over each phrase that comes next, in the given order."""
        for phrase in phrases:
            self.take(*phrase.split())

    def name(self) -> str:
        """The next, possibly qualified, name; `public.` is left out as PostgreSQL would find it without."""
        parts: list[str] = []
        while self.place < len(self.tokens) and self.tokens[self.place].kind in ("word", "name"):
            parts.append(self.tokens[self.place].text)
            self.place += 1
            if not self.take("."):
                break
        return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("public", "main") else parts)

    def has(self, *words: str) -> bool:
        """Whether these words follow each other anywhere from here on."""
        texts = [token.text if token.kind != "name" else "" for token in self.tokens[self.place :]]
        return any(tuple(texts[index : index + len(words)]) == words for index in range(len(texts)))

    def names(self) -> list[str]:
        """A comma-separated list of names."""
        found = [self.name()]
        while self.take(","):
            self.skip("only")
            found.append(self.name())
        return [name for name in found if name]

    def rest(self) -> Words:
        """A cursor of its own over what is left."""
        return Words(self.tokens[self.place :], self.line)

    def parts(self) -> list[Words]:
        """What is left, parted at commas outside of parentheses."""
        parts: list[list[Token]] = [[]]
        depth = 0
        for token in self.tokens[self.place :]:
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if token == Token("mark", ",") and depth == 0:
                parts.append([])
            else:
                parts[-1].append(token)
        return [Words(part, self.line) for part in parts if part]
