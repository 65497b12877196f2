"""Values of ``--set``, which count as if they were written in the file."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import main
from runner.errors import ConfigError, Exit
from runner.read import read, text_of
from runner.read.yaml import dumped, parsed
from runner.runs.folder import RunFolder
from tests.support.matrices import FULL, SMALL, study
from tests.support.whole_runs import reachable
from tests.support.whole_runs import study as write_study


@pytest.mark.parametrize(
    ("changes", "same_as"),
    [
        (["blocks=3"], SMALL + "blocks: 3\n"),
        (["limits.timeout=5m", "limits.cpus=2"], SMALL + "limits: {timeout: 5m, cpus: 2}\n"),
        (["parameters.rate=1e-3"], SMALL + "parameters: {rate: 1e-3}\n"),
        (["title= a title "], SMALL + "title: a title\n"),
        (["blocks=3", "blocks=4"], SMALL + "blocks: 4\n"),
        (["axes.size=[1, 2, 3]"], SMALL.replace("[1, 2]", "[1, 2, 3]")),
        (['axes.lib.versions.1="3.0"'], SMALL.replace("2.0", "3.0")),
        (["metrics.seconds.better=higher"], SMALL.replace("better: lower", "better: higher")),
    ],
)
def test_a_change_counts_as_if_it_were_in_the_file(
    tmp_path: Path, changes: list[str], same_as: str
) -> None:
    """Values are YAML. Dots separate keys, and numbers count entries of lists."""
    study(tmp_path, SMALL)
    path = tmp_path / "matrix.yaml"
    found, text = read(path, changes=changes), text_of(path, changes)
    assert found == study(tmp_path, same_as)
    assert found == study(tmp_path, text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("blocks=zero", '--set blocks: expected a whole number, found "zero"'),
        ("limit.cpus=2", "--set limit.cpus: limit: unknown key; did you mean `limits`?"),
        ("limits.cpu=2", "--set limits.cpu: unknown key; did you mean `cpus`?"),
        ("include.0.timeout=1d", "--set include.0.timeout: include[0].timeout: expected a dur"),
        ("name=on", '--set name: write true or false, or quote it: "on"'),
        ("parameters.epoch=9", "--set parameters.epoch: the file has no such parameter; did yo"),
        ("blocks=[1", "--set blocks: this is not YAML: "),
        ("blocks.x=1", '--set blocks.x: `blocks` has no key "x"; set the whole value'),
        ("include.7.blocks=1", "--set include.7.blocks: the list has only 2 entries, counted fr"),
        ("format=9", "--set format: format 9 was written for a newer matrix-runner"),
        ("blocks", "--set blocks: expected keys and a value, such as `parameters.epochs=3`"),
        ("a..b=1", "--set a..b=1: expected keys and a value"),
        ("blocks=", "--set blocks=: expected keys and a value"),
        ("claims.0.of.lib=9", "--set claims.0.of.lib: "),
        ("baseline.lib='9.0'", '--set baseline.lib: no cell has the value "9.0"'),
    ],
)
def test_a_wrong_change_is_refused_like_a_wrong_file(
    tmp_path: Path, change: str, said: str
) -> None:
    """One sentence, which names the option in place of the file."""
    study(tmp_path, FULL)
    with pytest.raises(ConfigError) as raised:
        read(tmp_path / "matrix.yaml", changes=[change])
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_problems_in_the_file_keep_their_places(tmp_path: Path) -> None:
    """All problems are reported, those of the file with line and column."""
    (tmp_path / "run.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(SMALL + "looks: no\nblocks: x\n")
    with pytest.raises(ConfigError) as raised:
        read(tmp_path / "matrix.yaml", changes=["blocks=y", "repeats=z"])
    said = str(raised.value).replace(str(tmp_path), "").splitlines()
    assert [line.partition(": ")[0] for line in said] == [
        "--set blocks",
        "--set repeats",
        "/matrix.yaml:10:8",
    ]


def test_an_alias_is_changed_in_one_place_only() -> None:
    """The other places keep what the file says."""
    source = parsed("a: &x {n: 1}\nb: *x\n", "file", ["b.n=2"])
    assert source.plain == {"a": {"n": 1}, "b": {"n": 2}}


VALUES = st.recursive(
    st.integers(0, 99) | st.text("xyz", min_size=1, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1),
    st.lists(st.sampled_from([*"abc", "0", "1"]), min_size=1, max_size=3),
    VALUES,
)
def test_any_change_of_any_file_is_made_or_refused(
    plain: dict[str, object], keys: list[str], value: object
) -> None:
    """What is made is the same as in plain values, and nothing else changes."""
    change = f"{'.'.join(keys)}={yaml.safe_dump(value, default_flow_style=True)}"
    try:
        found = parsed(dumped(plain), "file", [change]).plain
    except ConfigError as error:
        assert str(error).startswith("--set ")  # noqa: PT017 (either way is right)
        return
    expected: object = plain
    for key in keys[:-1]:
        expected = at(expected, key)
    put(expected, keys[-1], value)
    assert found == plain


def at(place: object, key: str) -> object:
    """Return what is at a key, which is made if it is missing."""
    if isinstance(place, list):
        return place[int(key)]
    assert isinstance(place, dict)
    return place.setdefault(key, {})


def put(place: object, key: str, value: object) -> None:
    """Set the value at a key."""
    if isinstance(place, list):
        place[int(key)] = value
    else:
        assert isinstance(place, dict)
        place[key] = value


def test_a_run_keeps_the_matrix_with_its_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder holds the text that declares what was measured."""
    write_study(reachable(monkeypatch))
    assert main(["--set", "parameters.epochs=3", "--set", "blocks=1"]) == Exit.OK
    stored = RunFolder(Path("reports/latest")).stored()
    assert {cell.parameters["epochs"] for cell in stored.run.matrix.cells} == {3}
    assert stored.run.matrix.blocks == stored.plan.blocks == 1
    plain = yaml.safe_load(stored.matrix_text or "")
    assert (plain["parameters"], plain["blocks"]) == ({"epochs": 3}, 1)
    assert main(["--set", "parameters.epochs=3", "--set", "blocks=1"]) == Exit.OK
    assert len(list(Path("reports").glob("2*"))) == 1
