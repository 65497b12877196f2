"""``read`` returns a matrix or raises ConfigError, for any content of a file."""

from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.read import read
from runner.read.schema import Document
from tests.support.matrices import FULL

anything = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check_read(folder: Path, raw: bytes) -> None:
    """Read bytes as a matrix; the result is a matrix or a ConfigError with printable lines."""
    (folder / "run.py").write_text("")
    path = folder / "matrix.yaml"
    path.write_bytes(raw)
    said = ""
    try:
        assert read(path).cells
    except ConfigError as error:
        said = str(error) or "something else"
    assert "something else" not in said
    assert all(line.startswith(str(path)) and line.isprintable() for line in said.splitlines())


@anything
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    """Bytes cause no other exception than ConfigError."""
    check_read(tmp_path, raw)


@anything
@given(st.data())
def test_any_damaged_matrix_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Damage to a valid matrix causes no other exception than ConfigError."""
    text = FULL
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 12)))
        piece = data.draw(
            st.sampled_from(
                ["", " ", "\t", "\n", "[", "{", "}", "]", "null", "1.5", "-", "&a ", "*a", "!x ",
                 "<<: {a: 1}", "2020-01-01", '"', "{}", "[]", "x: 1, ", "true", "? ", "9" * 40]
            )
            | st.text(max_size=3)
        )  # fmt: skip
        text = text[:begin] + piece + text[end:]
    check_read(tmp_path, text.encode())


words = ["", "x", "1.0", "2.0", "seconds", "lower", "ok", "3.7", "60s", "4g", "+3%"]
scalar = st.sampled_from([*words, 1, 0, -1, 1.5, True, None, 10**30])
tree = st.recursive(
    scalar,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["lib", "size", "expect", "cell", "of", "id", "x"]), inner
        )
    ),
    max_leaves=6,
)


@anything
@given(
    st.dictionaries(
        st.sampled_from([*Document.model_fields, "lib"]),
        tree,
        max_size=3,
    )
)
def test_any_value_of_any_key_is_read_or_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """A wrong section causes no other exception than ConfigError."""
    document = yaml.safe_load(FULL) | changes
    check_read(tmp_path, yaml.safe_dump(document, sort_keys=False).encode())
