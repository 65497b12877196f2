"""Hand-made inputs that try to break a reader: small causes with large effects, and nonsense."""

import json
from typing import Any

from tests.support.matrices import FULL, SMALL

LONG = 900_000
"""The number of characters of a long text, a little less than the limit for a matrix."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 5, 7, 2**31, 2**53, 2**63, 10**30, 10**400, 0.5, -0.0, -2.5, 1e-320, 1e70, 1e308,
    -1e308, float("nan"), float("inf"),
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", " ", "x", "ok", "failed", "1.0", "a,b=c", "a\nb", "\x00", "\x1b[2J", "\u2028", "\u202e",
    "\ud800", "\ufeff", "\U0001f600", "<b>&|`*_", "..", "/", "é" * 300, "9" * 5000,
    "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
)  # fmt: skip
HOSTILE = (
    "\x1b[2J\x1b]0;a title\x07\x9b2J\n\r\u2028\u202e\x00\uffff<script>alert(1)</script>|`*_[a](b)"
)
TOKENS = (
    b"0", b"-1", b"1e999", b"1e-999", b"0.1", b"9" * 400, b"9" * 5000, b"NaN", b"[" * 300,
    b'{"a":' * 300, b'"\\u0000"', b'"x":1,', b"-Infinity", b"", b" ", b"\t", b"\n", b"\r\n",
    b"[", b"]", b"{", b"}", b"- ", b"? ", b": ",
    b"&a ", b"*a", b"&a [*a]", b"&a {a: *a}", b"<<: *a", b"<<: {a: 1}", b"!!int ", b"!!set ",
    b"!!python/object/apply:os.system ", b"!x ", b"%YAML 1.2\n---\n", b"---\n", b"...\n", b"|\n",
    b">-\n  ", b"null", b"~", b"true", b"on", b"yes", b"010", b"0x1f", b"1:30", b"1_000", b".inf",
    b"2019-10-15", b"2019-13-45", b"2019-10-15 10:00:00", b"=", b'"', b"'", b"#", b"\x00",
    b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\x85", b"\xe2\x80\xa8", b'"\\ud800"',
    b'"\\x1b[2J"', b"+3%", b"60s", b"4g", b"1" * 300 + b"e", b"[" * 40, b"- " * 40, b"{a: " * 40,
    b"lib", b"size", b"include", b"exclude", b"compare", b"of", b"against", b"scale", b"margin",
    b"difference", b"expect", b"blocks", b"looks", b"matched", b"policy", b"repeats",
)  # fmt: skip


def _listed(pattern: str, count: int) -> str:
    """Return a list of copies of the pattern, with ``#`` replaced by 0, 1, 2 ..."""
    return "[" + ",".join(pattern.replace("#", str(number)) for number in range(count)) + "]"


def _keys(section: str, pattern: str) -> str:
    """Return a section with many keys."""
    return f"{section}: {{{_listed(pattern, 5000)[1:-1]}}}\n"


def _laughs(first: str, of: str) -> str:
    """Return twenty levels of lists or keys; each level contains the one below nine times."""
    levels = [f"a0: &a0 {first}"]
    for level in range(1, 20):
        below = ",".join([f"*a{level - 1}"] * 9 if of == "[]" else [f"x: *a{level - 1}"])
        levels.append(f"a{level}: &a{level} {of[0]}{below}{of[1]}")
    return "\n".join(levels)


def _many(added: str) -> str:
    """Return a matrix of 9,998 cells."""
    return SMALL.replace("size: [1, 2]", "size: " + _listed("#", 4999)) + added


def _with_metrics(lines: str) -> str:
    """Return a matrix with more metrics."""
    return SMALL.replace("metrics:\n", f"metrics:\n{lines}")


def _with_axes(lines: str) -> str:
    """Return a matrix with more axes."""
    return SMALL.replace("axes:\n", f"axes:\n{lines}")


_A, _ONES = "a" * LONG, "1" * LONG
_NAMED = 'a: &a "' + "x" * 400_000 + '"\n'
_METRICS = "".join(f"  m{number}: {{better: lower}}\n" for number in range(5000))

MATRIX: dict[str, str | bytes] = {
    # aliases
    "billion laughs": _laughs("[x, x]", "[]"),
    "billion laughs in keys": _laughs("{x: x}", "{}"),
    "billion laughs in a matrix": SMALL + _laughs("[x, x]", "[]"),
    "many aliases of a list": "a: &a [" + "x," * 10_000 + "]\nb: [" + "*a," * 50_000 + "]\n",
    "many aliases of a long text": _NAMED + "b: [" + "*a," * 90_000 + "]\n",
    "many aliases of a long key": _NAMED + "b: [" + "{*a : 1}," * 30_000 + "]\n",
    "a list that contains itself": "&a [*a]",
    "keys that contain themselves": "&a {b: *a}",
    "a key that contains itself": "? &a [*a]\n: 1\n",
    "claims that contain themselves": SMALL + "claims: &a [*a]\n",
    "axes that contain themselves": "format: 1\nname: a\naxes: &a {lib: *a}\n",
    "a merge": SMALL + "<<: {blocks: 3}\n",
    "a merge of itself": "&a {<<: *a}",
    "a merge in a section": SMALL.replace("{script: run.py}", "{<<: &a {script: run.py}}"),
    # depth
    "deep lists": "[" * LONG,
    "deep keys": "{a: " * 200_000,
    "deep dashes": "- " * 400_000,
    "deep questions": "? " * 400_000,
    "deep blocks": "".join(" " * depth + "a:\n" for depth in range(1200)),
    "anchors": "&a " * 300_000,
    "tags": "! " * 400_000,
    "colons": "a: " * 300_000,
    # length
    "a long name": SMALL.replace("small", _A),
    "a long key": SMALL + f"{_A}: 1\n",
    "a long quoted key": SMALL + f'"{_A}": 1\n',
    "long escapes": SMALL + 'title: "' + "\\u0041" * 150_000 + '"\n',
    "a long folded text": SMALL + "title: >\n" + " a\n" * 300_000,
    "a long package": SMALL + f"environment: {{packages: [a{_A}-!]}}\n",
    "a long package with extras": SMALL
    + "environment: {packages: ['a["
    + "a, " * 300_000
    + "']}\n",
    "blanks": " " * LONG,
    "tabs": "\t" * LONG,
    "line ends": "\n" * LONG,
    "comments": "#\n" * 450_000,
    "quotes": '"' * LONG,
    "directives": "%a\n" * 300_000,
    "documents": "---\n" * 220_000,
    "a file over the size limit": " " * 1024**2 + "x",
    # numbers
    "a long whole number": SMALL + "blocks: " + "9" * LONG,
    "a long fraction": SMALL + "blocks: " + "9" * LONG + ".5",
    "digits and an e": SMALL + f"blocks: {_ONES}e",
    "digits, a point and an e": SMALL + "blocks: " + "1" * 400_000 + "." + "1" * 400_000 + "e",
    "a long exponent": SMALL + "blocks: 1e" + "9" * LONG,
    "a long hex number": SMALL + "blocks: 0x" + "f" * LONG,
    "a long binary number": SMALL + "blocks: 0b" + "1" * LONG,
    "a long number to base 60": SMALL + "blocks: 1" + ":1" * 400_000,
    "a long number with underscores": SMALL + "blocks: 1" + "_1" * 400_000,
    "a long change": SMALL + f"policy: {{seconds: '{_ONES}'}}\n",
    "a long duration": SMALL + f"limits: {{timeout: {_ONES}s}}\n",
    "1e999": SMALL.replace("[1, 2]", "[1e999]"),
    "1e999 as a parameter": SMALL + "parameters: {rate: 1e999}\n",
    "infinity as a margin": SMALL.replace("lower}", "lower, margin: .inf}"),
    "the largest change": SMALL + "policy: {seconds: 1e308}\n",
    "a date that does not exist": SMALL + "environment: {as_of: 2019-13-45}\n",
    # characters
    "nothing": b"",
    "NUL": b"\x00",
    "NUL in a text": SMALL.replace("small", "sm\x00all"),
    "NUL by escape": SMALL.replace("small", '"sm\\0all"'),
    "a path with NUL": SMALL.replace("run.py", '"a\\0b"'),
    "an escape sequence": SMALL.replace("small", '"\\x1b[2J"'),
    "an escape sequence as a key": SMALL + '"\\x1b[2J": 1\n',
    "a lone surrogate": SMALL.replace("small", '"\\ud800"'),
    "a lone surrogate as a key": SMALL + '"\\udfff": 1\n',
    "a lone surrogate in bytes": SMALL.encode().replace(b"small", b"\xed\xa0\x80"),
    "line separators": SMALL.replace("small", '"a\\u2028b\\u2029c\\x85d"'),
    "text from right to left": SMALL.replace("small", '"a\\u202eb"'),
    "a byte order mark": b"\xef\xbb\xbf" + SMALL.encode(),
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf" + SMALL.encode(),
    "a byte order mark in the middle": SMALL.replace("small", "sm\ufeffall"),
    "UTF-16": SMALL.encode("utf-16"),
    "UTF-16 without a byte order mark": SMALL.encode("utf-16-be"),
    "UTF-32": SMALL.encode("utf-32"),
    "Latin-1": FULL.encode().replace(b"paper", b"p\xe4per"),
    "CRLF": FULL.replace("\n", "\r\n"),
    "CR": FULL.replace("\n", "\r"),
    "NEL": FULL.replace("\n", "\x85"),
    # tags
    "a tag that calls": SMALL + "title: !!python/object/apply:os.system [ls]\n",
    "a tag of another type": SMALL + 'title: !!binary "!"\nblocks: !!int x\nlooks: !!set {a}\n',
    "a tag with a prefix": "%TAG ! tag:x,2000:\n---\n" + SMALL + "title: !y z\n",
    "a long tag": SMALL + f"title: !{_A} z\n",
    # many entries of one kind
    "excludes": _many("exclude: " + _listed("{size: y#}", 3000)),
    "includes of nothing": _many("include: " + _listed("{sixe: y#}", 3000)),
    "includes of all": _many("include: " + _listed('{lib: "1.0", blocks: 1}', 3000)),
    "includes of parameters": _many("include: " + _listed("{size: 1, parameters: {a#: 1}}", 3000)),
    "included cells": _many("include: " + _listed('{lib: "9.#", size: 1}', 3000)),
    "comparisons": _many("compare: " + _listed("{of: {lib: '2.0'}, against: {lib: '1.0'}}", 3000)),
    "published cells": _many(
        "published: {source: a, cells: "
        + _listed("{cell: {lib: '1.0', size: z#}, note: a}", 3000)
        + "}\n"
    ),
    "parameters": _many(_keys("parameters", "m#: 1")),
    "axes": _with_axes("".join(f"  a{number}: [1]\n" for number in range(20_000))),
    "axes and cells": _with_axes(
        "".join(f"  a{number}: {[1, 2] if number < 11 else [1]}\n" for number in range(9000))
    ),
    "wrong values": SMALL.replace("[1, 2]", "[" + "1.5," * 90_000 + "]"),
    "unknown keys": SMALL + "".join(f"k{number}: 1\n" for number in range(40_000)),
    "metrics of a policy": _with_metrics(_METRICS) + _keys("policy", "n#: 1"),
    "metrics of CPU time": _with_metrics(_METRICS.replace("lower", "lower, cpu_time: n")),
    "quick parameters": SMALL + _keys("parameters", "m#: 1") + _keys("quick", "n#: 1"),
    "files": SMALL.replace("run.py}", f"run.py, data: {_listed('d#', 30_000)}}}"),
}

ANY_JSON: dict[str, str | bytes] = {
    "nothing": b"",
    "NUL": b"\x00",
    "deep lists": "[" * 500_000,
    "deep objects": '{"a":' * 200_000,
    "deep lists that end": "[" * 100_000 + "]" * 100_000,
    "a long number": "9" * 1_000_000,
    "a long fraction": "0." + "9" * 1_000_000,
    "a long exponent": "1e" + "9" * 1_000_000,
    "1e999": "1e999",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a long text": json.dumps("x" * 1_000_000),
    "backslashes": '"' + "\\" * 1_000_001,
    "a lone surrogate": b'"\\ud800"',
    "a lone surrogate in bytes": b'"\xed\xa0\x80"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "an escape sequence": b'{"\\u001b[2J\\n": 1}',
    "a newer format": b'{"format": 99999999999}',
    "a very long format number": b'{"format": ' + b"9" * 4000 + b"}",
    "a name twice": b'{"format": 1, "format": 1}',
}
"""Texts that are JSON, or almost."""


def locked(**changes: Any) -> bytes:
    """Return a lock of one environment with changes to its keys."""
    request = {"requirements": [], "python": "3.7", "as_of": "today", "packages": []}
    entry = {
        "request": {**request, "compile": False},
        "python": "3.7",
        "platform": "linux-x86_64",
        "as_of": "2019-10-17T17:35:52Z",
        "build_tools": [],
        "packages": ["six==1.12.0 sha256:" + "0" * 64],
    }
    return json.dumps({"format": 1, "entries": [{**entry, **changes}]}).encode()


LOCK: dict[str, str | bytes] = {
    **ANY_JSON,
    "deep entries": '{"format": 1, "entries": ' + "[" * 5000,
    "an unknown key of control characters": locked(**{"\x1b[2J\n\u2028": 1}),
    "a long key": locked(**{"x" * 100_000: 1}),
    "a date without a time zone": locked(as_of="2019-10-17T17:35:52"),
    "the first day": locked(as_of="0001-01-01T00:00:00+14:00"),
    "the last day": locked(as_of="9999-12-31T23:59:59-14:00"),
    "a package of control characters": locked(packages=["\x1b[2J\n"]),
    "a long package": locked(packages=["a" * 500_000 + "=="]),
    "a package with many hashes": locked(packages=["a==1" + " sha256:" + "0" * 500_000]),
    "a package of equals signs": locked(packages=["=" * 500_000]),
}

RESULT: dict[str, str | bytes] = {
    **ANY_JSON,
    **{
        f"{name}, as a number": b'{"format": 1, "values": {"loss": 1, "seconds": %s}}'
        % (text.encode() if isinstance(text, str) else text)
        for name, text in ANY_JSON.items()
    },
    "a long list": '{"format": 1, "series": {"loss": [' + "1," * 500_000 + "1]}}",
    "many names": json.dumps({"format": 1, "values": {f"n{index}": 1 for index in range(100_000)}}),
    "long names": json.dumps({"format": 1, "values": {"n" * 500_000: 1}}),
    "a long list of a long name": json.dumps({"format": 1, "series": {"n" * 1000: [1] * 400_000}}),
    "unknown names of control characters": b'{"\\u001b[2J\\n": 1, "\\ud800": 2}',
    "the largest numbers": json.dumps(
        {"format": 1, "values": {"seconds": 1e308}, "series": {"loss": [-1e308]}}
    ),
}

TABLE: dict[str, str | bytes] = {
    "many columns": "loss," * 200_000 + "\n" + "1," * 200_000,
    "many rows": "loss\n" + "1\n" * 400_000,
    "an open quote": 'loss\n"' + "1\n" * 400_000,
    "quotes in quotes": "loss\n" + '"' * 900_001,
    "a long number in a table": "loss\n" + "9" * 900_000,
    "NUL in a table": "loss\n\x00\n",
    "infinity in a table": "loss\ninf\n",
    "control characters in a table": "loss\n\x1b[2J\u2028\n",
    "a name twice in a table": "loss,loss\n1,2\n",
    "only names": "loss",
    "line ends of all kinds": "loss\r1\r\n2\n3",
}
