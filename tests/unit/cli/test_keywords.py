"""The expressions of ``-k``."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import main
from runner.cli.keywords import DEEPEST, MOST_WORDS, matching, parsed
from runner.errors import ConfigError, Exit, NothingSelectedError
from tests.support.matrices import FULL, SMALL, study

NAMES = ("alpha", "beta", "gamma", "not_", "a.b*", "x=1")


def expressions() -> st.SearchStrategy[str]:
    """Return expressions that are also Python, with names and operators of any shape."""
    return st.recursive(
        st.sampled_from(NAMES),
        lambda inner: st.one_of(
            inner.map("not {}".format),
            inner.map("( {} )".format),
            inner.map("({})".format),
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        ),
        max_leaves=12,
    )


@given(expressions(), st.sets(st.sampled_from(NAMES)))
def test_an_expression_means_the_same_as_in_python(written: str, true: set[str]) -> None:
    """Precedence, parentheses and negation are those of Python's own boolean operators."""
    names, expression = parsed(written)
    python = written
    for number, name in enumerate(NAMES):
        python = python.replace(name, f"n{number}")
    known = {f"n{number}": name in true for number, name in enumerate(NAMES)}
    assert expression(lambda name: name in true) is eval(python, {}, known)  # noqa: S307
    assert set(names) <= set(NAMES)


@given(st.lists(st.sampled_from([*"ab ()'\"*=", "and ", "or ", "not "])).map("".join))
def test_any_text_is_an_expression_or_refused_with_a_column(written: str) -> None:
    """Nothing else is raised, and the column lies in the text or right behind it."""
    try:
        parsed(written)
    except ConfigError as error:
        column = int(str(error).partition("column ")[2].partition(":")[0])
        assert 1 <= column <= len(written) + 1


@pytest.mark.parametrize(
    ("written", "column", "said"),
    [
        ("", 1, "expected a name, `not` or `(`, found the end"),
        ("a and", 6, "expected a name, `not` or `(`, found the end"),
        ("a b", 3, 'expected `and` or `or`, found "b"'),
        ("(a or b", 8, "expected `)`, found the end"),
        ("a or and b", 6, 'expected a name, `not` or `(`, found "and"'),
        ("a)", 2, 'expected `and` or `or`, found ")"'),
        ("a or 'b", 6, "this quote is not closed"),
        ("a or ''", 6, "the name in quotes is empty"),
        ("not " * (DEEPEST + 2) + "a", 4 * DEEPEST + 5, "nested too deeply"),
        ("(" * 9999, 1, f"the expression has more than {MOST_WORDS} words"),
    ],
)
def test_a_malformed_expression_is_refused(written: str, column: int, said: str) -> None:
    """One sentence says where, what is wrong, and how it looks when it is right."""
    with pytest.raises(ConfigError) as raised:
        parsed(written)
    assert str(raised.value).startswith(f"-k, column {column}: {said}")
    assert str(raised.value).endswith(", for example -k 'sequential and not 1.15*'.")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "cells"),
    [
        ("1.0", "lib=1.0,size=1 lib=1.0,size=2"),
        ("LIB=2* and not size=1", "lib=2.0,size=2"),
        ("lib=2.0,size=1 or ('1.0' and 2)", "lib=1.0,size=2 lib=2.0,size=1"),
        ("[12].0 and NOT lib=1.0", "lib=2.0,size=1 lib=2.0,size=2"),
        ("not (1.0 or size=1)", "lib=2.0,size=2"),
    ],
)
def test_names_match_parts_and_globs_of_values_and_ids(
    tmp_path: Path, written: str, cells: str
) -> None:
    """Upper and lower case are the same. Comparisons with other cells are left out."""
    found = matching(study(tmp_path, SMALL), written)
    assert [cell.id for cell in found.cells] == cells.split()
    kept = set(cells.split())
    assert all({pair.of, pair.against} <= kept for pair in found.compare)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("not 2.O", '-k: "2.O" matches no cell; did you mean `2.0`?'),
        ("1.0 and 2.0", '-k: no cell matches "1.0 and 2.0"; the cells are:\n  lib=1.0,size=1\n'),
    ],
)
def test_a_selection_of_nothing_is_refused(tmp_path: Path, written: str, said: str) -> None:
    """A misspelt name would otherwise change the study silently."""
    with pytest.raises(NothingSelectedError) as raised:
        matching(study(tmp_path, SMALL), written)
    assert str(raised.value).startswith(said)


def test_list_prints_the_ids_of_the_selected_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-s` and `-k` narrow together. Nothing else is printed."""
    study(tmp_path, FULL)
    assert main(["list"]) == Exit.OK
    assert capsys.readouterr().out.splitlines() == [
        "lib=1.0,size=1",
        "lib=2.0,size=1",
        "lib=2.0,size=2",
        "lib=3.0,size=1",
    ]
    assert main(["list", "-s", "size=1", "-k", "not 1.0"]) == Exit.OK
    assert capsys.readouterr().out == "lib=2.0,size=1\nlib=3.0,size=1\n"
    assert main(["list", "-k", "(1.0"]) == Exit.CONFIG
    assert main(["list", "-k", "nothing"]) == Exit.NOTHING_SELECTED


@pytest.mark.parametrize("verb", ["run", "lock", "prepare", "plan"])
def test_k_works_where_s_works(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are refused in the same way."""
    study(tmp_path, SMALL)
    assert main([verb, "-k", "a and"]) == Exit.CONFIG
    assert capsys.readouterr().err.startswith("-k, column 6: ")


def test_list_asks_the_lock_only_for_ranges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken lock does not matter otherwise. Ids of a range that is not locked are unknown."""
    study(tmp_path, SMALL)
    (tmp_path / "matrix.lock").write_text("broken")
    assert main(["list"]) == Exit.OK
    text = SMALL.replace('["1.0", "2.0"]', '">=1,<3", take: latest-patch')
    (tmp_path / "matrix.yaml").write_text(text)
    (tmp_path / "matrix.lock").unlink()
    capsys.readouterr()
    assert main(["list"]) == Exit.CONFIG
    assert "not locked yet; run `python -m runner lock` first" in capsys.readouterr().err
