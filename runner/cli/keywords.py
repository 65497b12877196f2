"""The expressions of ``-k``: names with ``and``, ``or``, ``not`` and parentheses, as in pytest.

::

    expression = conjunction ("or" conjunction)*
    conjunction = negation ("and" negation)*
    negation = "not" negation | "(" expression ")" | name

A name is a word, or text in quotes. It matches a cell if it is part of one of its values, of
``axis=value`` or of its id, or matches one of them as a glob. Upper and lower case are the same.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from runner.errors import ConfigError, NothingSelectedError
from runner.plan import only
from runner.records import shown
from runner.records.study import Cell, Matrix
from runner.system import program
from runner.text import did_you_mean, quoted

MOST_WORDS = 500
DEEPEST = 50
WORDS = ("and", "or", "not", "(", ")")
EXAMPLE = "-k 'sequential and not 1.15*'"

_WORD = re.compile(r"""\s*([()]|'[^']*'|"[^"]*"|[^\s()'"]+|['"])""")

Names = Callable[[str], bool]
"""Whether a name matches."""
Expression = Callable[[Names], bool]
"""Whether an expression is true for a cell that some names match."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    column: int
    is_name: bool


def matching(matrix: Matrix, written: str) -> Matrix:
    """Keep the cells for which an expression is true.

    ConfigError if it is malformed, and NothingSelectedError if it selects no cell, or if one of its
    names matches none: a misspelt name must not silently change a study.
    """
    names, expression = parsed(written)
    texts = {cell.id: _texts(cell) for cell in matrix.cells}
    for name in names:
        if not any(_matches(name, some) for some in texts.values()):
            known = dict.fromkeys(
                shown(value) for cell in matrix.cells for _, value in cell.coordinates
            )
            hint = did_you_mean(name, known) or f"; `{program.name()} list` prints the cells"
            raise NothingSelectedError(f"-k: {quoted(name)} matches no cell{hint}")
    cells = [
        cell
        for cell in matrix.cells
        if expression(lambda name, some=texts[cell.id]: _matches(name, some))  # type: ignore[misc]
    ]
    if not cells:
        listed = "".join(f"\n  {cell.id}" for cell in matrix.cells)
        raise NothingSelectedError(f"-k: no cell matches {quoted(written)}; the cells are:{listed}")
    return only(matrix, cells)


def parsed(written: str) -> tuple[tuple[str, ...], Expression]:
    """Return the names in an expression, and the expression; ConfigError if it is malformed."""
    parser = _Parser(written)
    expression = parser.expression(0)
    parser.end()
    return tuple(dict.fromkeys(parser.names)), expression


def _texts(cell: Cell) -> tuple[str, ...]:
    """Return what a name can match, in lower case."""
    values = [(axis, shown(value)) for axis, value in cell.coordinates]
    return tuple(
        text.lower()
        for text in (cell.id, *(value for _, value in values), *(f"{a}={v}" for a, v in values))
    )


def _matches(name: str, texts: tuple[str, ...]) -> bool:
    wanted = name.lower()
    return any(wanted in text or fnmatchcase(text, wanted) for text in texts)


class _Parser:
    """Reads an expression from left to right, with one function for each rule of the grammar."""

    def __init__(self, written: str) -> None:
        self.names: list[str] = []
        self._words = list(_words(written))
        self._next = 0
        self._end = len(written) + 1
        if len(self._words) > MOST_WORDS:
            raise _malformed(1, f"the expression has more than {MOST_WORDS} words; shorten it")

    def expression(self, depth: int) -> Expression:
        parts = [self._conjunction(depth)]
        while self._takes("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else lambda names: any(one(names) for one in parts)

    def _conjunction(self, depth: int) -> Expression:
        parts = [self._negation(depth)]
        while self._takes("and"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else lambda names: all(one(names) for one in parts)

    def _negation(self, depth: int) -> Expression:
        word = self._peek()
        if depth > DEEPEST:
            raise _malformed(self._column, "nested too deeply; use fewer parentheses and `not`")
        if self._takes("not"):
            inner = self._negation(depth + 1)
            return lambda names: not inner(names)
        if self._takes("("):
            inner, column = self.expression(depth + 1), self._column
            if not self._takes(")"):
                raise _malformed(column, f"expected `)`, found {self._found()}")
            return inner
        if word is None or not word.is_name:
            raise _malformed(self._column, f"expected a name, `not` or `(`, found {self._found()}")
        self._next += 1
        self.names.append(word.text)
        return lambda names: names(word.text)

    def end(self) -> None:
        """Check that nothing follows."""
        if self._peek() is not None:
            raise _malformed(self._column, f"expected `and` or `or`, found {self._found()}")

    def _peek(self) -> _Word | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def _takes(self, text: str) -> bool:
        """Whether the next word of the grammar is this one, which is taken then."""
        word = self._peek()
        taken = word is not None and not word.is_name and word.text == text
        self._next += taken
        return taken

    @property
    def _column(self) -> int:
        word = self._peek()
        return self._end if word is None else word.column

    def _found(self) -> str:
        word = self._peek()
        return "the end" if word is None else quoted(word.text)


def _words(written: str) -> Iterator[_Word]:
    """Yield the words of an expression; ConfigError if a quote is not closed."""
    for match in _WORD.finditer(written):
        text, column = match[1], match.start(1) + 1
        if text in {"'", '"'}:
            raise _malformed(column, "this quote is not closed; close it")
        if text[0] in "'\"":
            if len(text) == 2:  # noqa: PLR2004 (only the quotes)
                raise _malformed(column, "the name in quotes is empty; write one")
            yield _Word(text[1:-1], column, is_name=True)
        else:
            is_name = text.lower() not in WORDS
            yield _Word(text if is_name else text.lower(), column, is_name)


def _malformed(column: int, sentence: str) -> ConfigError:
    return ConfigError(f"-k, column {column}: {sentence}, for example {EXAMPLE}.")
