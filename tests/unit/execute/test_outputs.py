"""Metrics in what a script prints and in the files that it writes."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.execute.outputs import Output, read_outputs
from runner.execute.script_result import BadOutputError
from runner.records.study import Better, Metric, MetricSource, Origin, Reduction

FILE = "out.txt"


def metric(origin: Origin, *selects: str, series: bool = False, **changes: Any) -> Metric:
    """Return the metric ``x`` from an output; ``changes`` replace its other fields."""
    file = FILE if origin.from_file else ""
    source = MetricSource(origin=origin, file=file, selects=selects, series=series)
    kept = {"name": "x", "unit": "", "better": Better.LOWER, "title": "x", **changes}
    return Metric(source=source, **kept)


def found(text: str, *metrics: Metric) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
    """Return the values and series in a text, whatever kind of output it is."""
    output = Output(text, None)
    return read_outputs(output, {FILE: output}, metrics)


def value(text: str, metric: Metric) -> float:
    """Return the only number."""
    values, series = found(text, metric)
    assert not series
    return values["x"]


def numbers(text: str, metric: Metric) -> tuple[float, ...]:
    """Return the only series."""
    values, series = found(text, metric)
    assert not values
    return series["x"]


def reason(text: str, metric: Metric) -> str:
    """Return why an output is bad."""
    with pytest.raises(BadOutputError) as raised:
        found(text, metric)
    return str(raised.value)


def printed(pattern: str, *, series: bool = False) -> Metric:
    """Return a metric that is printed."""
    return metric(Origin.STDOUT, pattern, series=series)


LOG = "epoch 1\nacc: 0.5 \nepoch 2\nacc: 0.75\nlr=1e-3\r\ndone in 12s"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"acc: (\S+)", (0.5, 0.75)),
        (r"acc:(.*)", (0.5, 0.75)),
        (r"^epoch (\d+)$", (1.0, 2.0)),
        (r"lr=(?P<rate>[0-9.e-]+)", (0.001,)),
        (r"(?<=done in )\d+", (12.0,)),
        (r"(?i)ACC: ([0-9.]+)", (0.5, 0.75)),
        (r"(?s)acc: ([0-9.]+).*done", (0.5,)),
        (r"\A(?:epoch) (\d)", (1.0,)),
    ],
)
def test_printed_numbers_match_a_regular_expression(
    pattern: str, expected: tuple[float, ...]
) -> None:
    """A series has every match, and a single number is the last match."""
    assert numbers(LOG, printed(pattern, series=True)) == expected
    assert value(LOG, printed(pattern)) == expected[-1]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"loss: (\S+)", 'the output of the script does not match "loss: (\\\\S+)"'),
        (r"acc (\S+)", '`x` in the output of the script is "good", not a number'),
        (r"a=(\S+)", "`x` in the output of the script is nan, which is not a finite number"),
        (r"b=(\S+)", "`x` in the output of the script is -inf, which is not a finite number"),
        (r"c=(\S+)", "`x` in the output of the script is inf, which is not a finite number"),
        (r"d=(\S+)", '`x` in the output of the script is "1_000", not a number'),
        (r"e=(\d+)?", '`x` in the output of the script is "", not a number'),
        (r"f=(\S+)", '`x` in the output of the script is "?", not a number'),
        (r"done", '`x` in the output of the script is "done", not a number'),
    ],
)
@pytest.mark.parametrize("series", [False, True])
def test_a_printed_text_is_no_number(pattern: str, said: str, series: bool) -> None:
    """The reason quotes what was found."""
    text = "acc good\na=nan b=-Infinity c=1e999 d=1_000 e= f=\ud800\ndone"
    assert reason(text, printed(pattern, series=series)) == said


def test_only_the_last_match_must_be_a_number() -> None:
    """Earlier ones do not count, unless all of them make a series."""
    text = "acc: n/a\nacc: 0.5\n"
    assert value(text, printed(r"acc: (\S+)")) == 0.5
    assert "n/a" in reason(text, printed(r"acc: (\S+)", series=True))


def test_a_regular_expression_that_never_ends_is_stopped() -> None:
    """The reason asks for a simpler one."""
    began = time.monotonic()
    said = reason("a" * 50 + "b", printed("(a+)+$"))
    assert said == (
        'the regular expression "(a+)+$" took too long on the output of the script; write a '
        "simpler one"
    )
    assert time.monotonic() - began < 20


def test_a_long_output_is_searched() -> None:
    """A megabyte takes less than a second, however often it matches."""
    text = "loss=0.25 " * 100_000 + "loss=0.5"
    assert value(text, printed(r"loss=(\S+)")) == 0.5
    assert len(numbers(text, printed(r"loss=(\S+)", series=True))) == 100_001
    assert value("1" * 1_000_001 + "2", printed(r"\d")) == 2
    said = reason("1" * 1_000_001, printed(r"\d", series=True))
    assert said == "`x` in the output of the script has more than 1000000 numbers"


def at(*keys: str, series: bool = False) -> Metric:
    """Return a metric in a JSON file."""
    return metric(Origin.JSON, *keys, series=series)


DOCUMENT = json.dumps(
    {
        "eval": {"accuracy": 0.5, "loss": [3, 2.5, 1], "a.b": 2, "none": [], "mixed": [1, "2"]},
        "runs": [{"s": 1.5}, {"s": 2.5}],
        "0": 7,
        "text": "1",
        "yes": True,
        "nothing": None,
        "huge": 10**400,
        "long name": {},
    }
)


def test_numbers_in_json_are_found_by_their_keys() -> None:
    """A number among the keys is the position in a list, from 0."""
    assert value(DOCUMENT, at("eval", "accuracy")) == 0.5
    assert value(DOCUMENT, at("eval", "a.b")) == 2
    assert value(DOCUMENT, at("eval", "loss", "2")) == 1
    assert value(DOCUMENT, at("runs", "1", "s")) == 2.5
    assert value(DOCUMENT, at("0")) == 7
    assert value("[[3]]", at("0", "0")) == 3
    assert numbers(DOCUMENT, at("eval", "loss", series=True)) == (3, 2.5, 1)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("eval acuracy", 'out.txt has no "eval.acuracy"; did you mean `accuracy`?'),
        ("evals loss", 'out.txt has no "evals"; did you mean `eval`?'),
        ("zzz", 'out.txt has no "zzz"'),
        ("eval loss 3", 'out.txt has no "eval.loss.3"'),
        ("eval loss -1", 'out.txt has no "eval.loss.-1"'),
        ("eval loss \u00b2", 'out.txt has no "eval.loss.\u00b2"'),
        ("eval accuracy 0", 'out.txt has no "eval.accuracy.0"'),
        ("text", '"text" in out.txt is text, not a number'),
        ("yes", '"yes" in out.txt is true or false, not a number'),
        ("nothing", '"nothing" in out.txt is null, not a number'),
        ("eval", '"eval" in out.txt is an object, not a number'),
        ("huge", '"huge" in out.txt is not a finite number'),
        ("eval loss", '"eval.loss" in out.txt is a list, not a number; write `series: true`'),
        ("series 0", '"0" in out.txt is a number, not a list of numbers'),
        ("series eval", '"eval" in out.txt is an object, not a list of numbers'),
        ("series eval none", '"eval.none" in out.txt is empty'),
        ("series eval mixed", 'entry 1 of "eval.mixed" in out.txt is text, not a number'),
    ],
)
def test_other_values_in_json_are_no_numbers(keys: str, said: str) -> None:
    """The reason names the keys and the file, and a similar key if there is one."""
    words = keys.split()
    series = words[0] == "series"
    assert reason(DOCUMENT, at(*words[series:], series=series)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "out.txt is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("{'a': 1}", "out.txt is not JSON: Expecting property name"),
        ('{"a": NaN}', "out.txt contains NaN, which is not a number in JSON"),
        ('{"a": 1, "a": 2}', "out.txt contains the same name twice"),
        ("[" * 100_000, "out.txt is nested too deeply"),
        ('{"a":' * 100_000, "out.txt is nested too deeply"),
        ("3", 'out.txt has no "a"'),
        (json.dumps({f"{n}{'a' * 2000}": 1 for n in range(5000)}), 'out.txt has no "a"'),
    ],
    ids=lambda text: text[:12],
)
def test_a_file_that_is_no_such_json_is_bad(text: str, said: str) -> None:
    """It may contain anything."""
    assert reason(text, at("a")).startswith(said)


def column(name: str, *, series: bool = False) -> Metric:
    """Return a metric in a CSV file."""
    return metric(Origin.CSV, name, series=series)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch,loss\n0,3\n1,2.5\n", (3, 2.5)),
        ("epoch;loss\r\n0;3\r\n1;2.5\r\n", (3, 2.5)),
        ("epoch\tloss\n0\t3\n1\t2.5", (3, 2.5)),
        ("epoch, loss \n0, 3\n1, 2.5 \n", (3, 2.5)),
        ('"epoch","loss"\n"0","3"\n"1","2.5"\n', (3, 2.5)),
        ('"a,b;c",loss\n"x\ny",3\n,2.5\n', (3, 2.5)),
        ("loss\n3\n2.5\n", (3, 2.5)),
        ("loss\r3\r2.5\r", (3, 2.5)),
        ("loss,val\n3,\n,1\n  ,1\n2.5,\n,1\n", (3, 2.5)),
        ("epoch,loss\n0\n1,3\n\n2,2.5,7,8\n3", (3, 2.5)),
        ('loss,text\n3,"say ""hi"""\n2.5,\n', (3, 2.5)),
    ],
)
def test_numbers_in_a_column_are_found(text: str, expected: tuple[float, ...]) -> None:
    """Rows without a number there do not count; commas, semicolons and tabs separate columns."""
    assert numbers(text, column("loss", series=True)) == expected
    assert value(text, column("loss")) == expected[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'out.txt has no column "loss"; it has none'),
        ("\n", 'out.txt has no column "loss"; it has none'),
        ("epoch,Loss\n1,2\n", 'out.txt has no column "loss"; it has "epoch" and "Loss"'),
        ("loss,loss\n1,2\n", 'out.txt has several columns "loss"; it has "loss" and "loss"'),
        ("loss\n", '"loss" in out.txt has no number'),
        ("a,loss\n1\n2,\n", '"loss" in out.txt has no number'),
        ("a,loss\n1,2\n2,n/a\n", '"loss" in line 3 of out.txt is "n/a", not a number'),
        ('a,loss\n"x\ny","0,5"\n', '"loss" in line 3 of out.txt is "0,5", not a number'),
        ("loss\nnan\n", '"loss" in line 2 of out.txt is nan, which is not a finite number'),
        ("loss\n1\x002\n", None),
        ('loss\n"1', "out.txt is not CSV: unexpected end of data"),
        ('loss\n"1"2\n', "out.txt is not CSV: ',' expected after '\"'"),
        (f"loss\n{'1' * 200_000}\n", "out.txt is not CSV: field larger than field limit (131072)"),
    ],
    ids=lambda text: text and text[:16],
)
@pytest.mark.parametrize("series", [False, True])
def test_other_files_have_no_such_column(text: str, said: str | None, series: bool) -> None:
    """The reason names the columns that there are, or the line."""
    found = reason(text, column("loss", series=series))
    assert found == said or (said is None and "\x00" not in found)


def test_a_long_list_of_columns_is_cut() -> None:
    """A file can have any number of columns, with any names."""
    text = ",".join(f"c{n}\x1b" for n in range(9999)) + "\n"
    found = reason(text, column("loss"))
    assert found.count('"c') == 10
    assert found.isprintable()


def test_only_the_last_row_must_have_a_number() -> None:
    """Files that are continued may repeat their first line."""
    text = "loss\n3\nloss\n2\n"
    assert value(text, column("loss")) == 2
    assert 'line 3 of out.txt is "loss"' in reason(text, column("loss", series=True))


def benchmark(name: str, **changes: Any) -> Metric:
    """Return a metric of pytest-benchmark."""
    return metric(Origin.BENCHMARK, name, **changes)


def timed(name: str, file: str, best: float) -> dict[str, Any]:
    """Return an entry of pytest-benchmark."""
    stats = {"min": best, "max": 9 * best, "mean": 3 * best, "median": 2 * best, "rounds": 5}
    return {"name": name, "fullname": f"{file}::{name}", "stats": stats}


ENTRIES = [timed("test_fit", "a.py", 1), timed("test_fit", "b.py", 2), timed("test_x", "a.py", 3)]
BENCHMARKS = json.dumps({"benchmarks": ENTRIES, "version": "5.1"})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (benchmark("test_x"), 6),
        (benchmark("test_x", reduce=Reduction.MEDIAN), 6),
        (benchmark("test_x", reduce=Reduction.MEAN), 9),
        (benchmark("test_x", reduce=Reduction.BEST), 3),
        (benchmark("test_x", reduce=Reduction.BEST, better=Better.HIGHER), 27),
        (benchmark("a.py::test_fit"), 2),
        (benchmark("b.py::test_fit"), 4),
    ],
)
def test_a_benchmark_has_the_time_of_a_round(asked: Metric, expected: float) -> None:
    """It is found by its name, or by the name with its file."""
    assert value(BENCHMARKS, asked) == expected


NOTHING = 'out.txt has no benchmark "test_fit", and no other one'


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"benchmarks": ENTRIES},
            'out.txt has several benchmarks "test_fit"; write "a.py::test_fit" or "b.py::test_fit"',
        ),
        ({"benchmarks": ENTRIES[2:]}, 'out.txt has no benchmark "test_fit"; write "test_x"'),
        ({"benchmarks": []}, NOTHING),
        ({"benchmarks": {"name": "test_fit"}}, NOTHING),
        ({"benchmarks": 3}, NOTHING),
        ({"benchmarks": True}, NOTHING),
        ({"benchmarks": ["test_fit", None, 1]}, NOTHING),
        ({}, NOTHING),
        ([], NOTHING),
        (3, NOTHING),
        ({"benchmarks": [{"name": ["a"]}]}, 'out.txt has no benchmark "test_fit"; write "[\'a\']"'),
        ({"benchmarks": [{"name": "a\x1b"}]}, 'out.txt has no benchmark "test_fit"; write "a?"'),
        (
            {"benchmarks": [{"name": "test_fit"}]},
            'the median of "test_fit" in out.txt is null, not a number',
        ),
        (
            {"benchmarks": [{"name": "test_fit", "stats": [1]}]},
            'the median of "test_fit" in out.txt is null, not a number',
        ),
        (
            {"benchmarks": [{"name": "test_fit", "stats": {"median": "1"}}]},
            'the median of "test_fit" in out.txt is text, not a number',
        ),
        (
            {"benchmarks": [{"name": "test_fit", "stats": {"median": 10**400}}]},
            'the median of "test_fit" in out.txt is not a finite number',
        ),
    ],
    ids=str,
)
def test_other_files_have_no_such_benchmark(document: object, said: str) -> None:
    """The file may have any shape; the reason names the benchmarks that there are."""
    assert reason(json.dumps(document), benchmark("test_fit")) == said


def test_an_output_that_cannot_be_used_is_bad() -> None:
    """The reason is the one that the launcher gives."""
    lost = Output(None, "does not exist")
    for asked, said in (
        (printed("a"), "the output of the script does not exist"),
        (at("a"), "out.txt does not exist"),
        (column("a"), "out.txt does not exist"),
        (benchmark("a"), "out.txt does not exist"),
    ):
        with pytest.raises(BadOutputError) as raised:
            read_outputs(lost, {FILE: lost}, [asked])
        assert str(raised.value) == said
    with pytest.raises(BadOutputError, match=r"out\.txt is missing"):
        read_outputs(None, {}, [at("a")])
    with pytest.raises(BadOutputError, match="the output of the script is missing"):
        read_outputs(None, {}, [printed("a")])


def test_each_metric_has_its_own_numbers() -> None:
    """Several may come from one file, and those from elsewhere are left out."""
    first = metric(Origin.CSV, "a", series=True, name="first")
    second = metric(Origin.CSV, "b", name="second")
    elsewhere = [metric(origin, name=origin.value) for origin in Origin if origin.from_launcher]
    elsewhere.append(metric(Origin.RESULT, name="result"))
    text = "a,b\n1,2\n3,4\n"
    assert found(text, first, second, *elsewhere) == ({"second": 4}, {"first": (1, 3)})


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a", "0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "0", "benchmarks", "name", "stats", "median"]), inner
        )
    ),
    max_leaves=9,
)
ANY_CSV = st.lists(
    st.lists(st.sampled_from(["a", "1", "-2.5e3", "", " ", '"', "nan", "\x00", "\r"])), max_size=4
).map(lambda rows: "\n".join(map(",".join, rows)))
OUTPUTS = [printed(r"a=?(\S*)"), at("a"), at("0", "a"), column("a"), benchmark("a")]
OUTPUTS += [printed(".", series=True), at("a", series=True), column("a", series=True)]


@given(st.one_of(ANY_TEXT, ANY_JSON.map(json.dumps), ANY_CSV), st.sampled_from(OUTPUTS))
def test_any_output_gives_finite_numbers_or_a_reason(text: str, asked: Metric) -> None:
    """No script can make the runner fail."""
    values: dict[str, float] = {}
    series: dict[str, tuple[float, ...]] = {}
    said = ""
    try:
        values, series = found(text, asked)
    except BadOutputError as error:
        said = str(error)
    given = [*values.values(), *(one for each in series.values() for one in each)]
    assert all(map(math.isfinite, given))
    assert bool(given) is not bool(said)
    assert len(said.encode()) < 2000
