"""Where the program makes messages: the texts in its code, found without running it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runner"

PROSE = ("cli", "report", "judge", "bundle", "doctor", "inside", "observer.py", "text.py")
"""The rooms in which functions return and yield other texts than problems."""
WARNINGS = "runner/cli/warnings.py"
IN_CONTAINER = "runner/inside"
"""It prints into the log of a trial."""

SAYS = re.compile(r"(\w*Error|Problem|Stop|note|error|_expected|damaged|_invalid|damage)$")
"""The calls whose text is a message, or becomes part of one."""

WHOLE = {name for name in vars(errors) if name.endswith("Error")}
"""The errors whose text is a whole message."""

CODE = re.compile(r"mkdir -p|home = |\{ name = |\{2}|--set |<!-- |\{MARK\}")
"""How texts begin that are commands or parts of files."""

FEWEST_LETTERS = 12
"""A text with fewer letters is no sentence."""


@dataclass(frozen=True)
class Site:
    """A text in the code that a user can see, as a pattern."""

    place: str
    pattern: str
    text: str
    """As it is written in the code, with names in braces."""
    is_whole: bool
    """Whether it is a whole message, and no part of another one."""

    @property
    def is_sentence(self) -> bool:
        """Whether it has enough letters of its own."""
        words = re.sub(r"\\.|\.\*", "", self.pattern)
        return len(re.findall("[a-z]", words)) >= FEWEST_LETTERS


def sites() -> Iterator[Site]:
    """Yield every text of the program that is a message or part of one."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name.startswith(IN_CONTAINER):
            continue
        has_prose = path.relative_to(PACKAGE).parts[0] in PROSE and name != WARNINGS
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for text, is_whole in _texts(function, calls_only=has_prose):
                    site = Site(f"{name}:{text.lineno}", _pattern(text), _written(text), is_whole)
                    if site.is_sentence and not CODE.match(site.text):
                        yield site


def _texts(function: ast.FunctionDef, *, calls_only: bool) -> Iterator[tuple[ast.expr, bool]]:
    """Yield the texts that a function says, and whether each is a whole message."""
    named = _named(function)
    for node in _own(function):
        if isinstance(node, ast.Call) and SAYS.search(_name(node)):
            for argument in node.args:
                for text in _alternatives(argument, named):
                    yield text, _name(node) in WHOLE
        elif not calls_only and isinstance(node, ast.Yield | ast.Return) and node.value:
            for text in _alternatives(node.value, named):
                if " " in _pattern(text):
                    yield text, False


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions in it."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _named(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """Return the values that a function gives to its variables."""
    found: dict[str, list[ast.expr]] = {}
    for node in _own(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _alternatives(node: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[ast.expr]:
    """Yield the texts that an expression may be."""
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            yield node
        case ast.IfExp(body=first, orelse=second):
            yield from _alternatives(first, named)
            yield from _alternatives(second, named)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _alternatives(value, named)
        case ast.Name(id=name):
            for value in named.get(name, ()):
                if not isinstance(value, ast.Name):
                    yield from _alternatives(value, {})
        case ast.Call(func=ast.Attribute(value=template, attr="format")):
            yield from _alternatives(template, named)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _alternatives(left, named)
            yield from _alternatives(right, named)
        case _:
            pass  # the value of something else


def _written(text: ast.expr) -> str:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(
        str(part.value)
        if isinstance(part, ast.Constant)
        else f"{{{ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ''}}}"
        for part in parts
    )


def _pattern(text: ast.expr) -> str:
    """Return the regular expression of a text: anything may stand for its values."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts
    )
