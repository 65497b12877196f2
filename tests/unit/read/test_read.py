"""How ``read`` turns a file into a matrix."""

import json
import time
from pathlib import Path

from runner.read import json_schema, read
from runner.records.study import Better, Limits, Pair, PolicyLimit, Status
from tests.support.matrices import FULL, SMALL, problems_of, study

ROOT = Path(__file__).parents[3]


def test_the_founding_study_is_read() -> None:
    """The committed matrix.yaml declares seven cells, the last of them added by include."""
    matrix = read(ROOT / "matrix.yaml")
    assert [cell.id for cell in matrix.cells] == [
        "tensorflow=1.15.0,model=sequential",
        "tensorflow=1.15.0,model=functional",
        "tensorflow=1.15.0,model=subclassed",
        "tensorflow=2.0.0,model=sequential",
        "tensorflow=2.0.0,model=functional",
        "tensorflow=2.0.0,model=subclassed",
        "tensorflow=1.15.0,model=subclassed-as-published",
    ]
    published = matrix.cells[-1]
    assert (published.expect, published.timeout_s, published.blocks) == (Status.FAILED, 60, 1)
    assert published.request == matrix.cells[0].request
    assert matrix.axes[0].distributions == ("tensorflow-cpu", "tensorflow")
    assert len(matrix.claims) == 5


def test_absent_keys_have_their_defaults(tmp_path: Path) -> None:
    """A matrix needs five keys; all others have defaults."""
    matrix = study(tmp_path, SMALL)
    assert matrix.limits == Limits()
    assert (matrix.blocks, matrix.base, matrix.title) == (7, "auto", "small")
    assert (matrix.source, matrix.claims, matrix.policy) == (None, (), ())
    assert (matrix.baseline, matrix.looks, matrix.matched) == ((("lib", "1.0"),), 4, False)
    assert matrix.compare == tuple(
        Pair(of=f"lib=2.0,size={size}", against=f"lib=1.0,size={size}", metrics=("seconds",))
        for size in (1, 2)
    )
    assert matrix.quick == {}
    assert matrix.metrics[1].title == "loss at end"
    cell = matrix.cells[0]
    assert (cell.request.python, cell.request.as_of) == ("auto", "release")
    assert (cell.timeout_s, cell.expect, cell.blocks) == (900, Status.OK, None)


def test_every_key_arrives_in_the_records(tmp_path: Path) -> None:
    """The matrix contains the value of every key, in seconds, bytes and shares."""
    matrix = study(tmp_path, FULL)
    assert matrix.title == "A small study"
    assert matrix.source == "a paper"
    assert matrix.limits == Limits(
        cpus=2, memory_bytes=512 * 1024**2, timeout_s=90, pids=99, log_bytes=4096
    )
    assert matrix.policy == (PolicyLimit(metric="seconds", change=0.03, relative=True),)
    assert matrix.baseline == (("lib", "1.0"),)
    assert matrix.quick == {"epochs": 1}
    request = matrix.cells[0].request
    assert (request.python, request.as_of) == ("3.7", "2019-10-15")
    assert (request.packages, request.compile) == (("six<2",), True)
    assert request.source_packages == "refuse"
    assert matrix.cells[0].parameters == {
        "epochs": 5,
        "rate": 0.001,
        "fast": True,
        "kind": "adam",
        "size": 1,
    }
    assert matrix.published[0].values == {"seconds": 5.0}
    assert matrix.published[1].note == "did not build"
    first, second = matrix.claims
    assert (first.says, first.published) == (Better.LOWER, (4.0, 5.5))
    assert (second.status, second.against) == (Status.NO_IMAGE, None)


def test_quick_runs_three_epochs_by_default(tmp_path: Path) -> None:
    """Without a `quick` key, --quick replaces the parameter `epochs` if it exists."""
    assert study(tmp_path, SMALL + "parameters: {epochs: 50}").quick == {"epochs": 3}


def test_exclude_comes_before_include(tmp_path: Path) -> None:
    """An exclude entry removes all matching combinations, and include can add one again."""
    text = SMALL + 'exclude: [{lib: "1.0"}]\ninclude: [{lib: "1.0", size: 2}]'
    assert [cell.id for cell in study(tmp_path, text).cells] == [
        "lib=2.0,size=1",
        "lib=2.0,size=2",
        "lib=1.0,size=2",
    ]


def test_an_include_entry_extends_all_it_does_not_contradict(tmp_path: Path) -> None:
    """Settings apply to every matching combination, a later entry wins, and no cell is added."""
    text = SMALL + 'include: [{lib: "2.0", timeout: 5s, blocks: 2}, {size: 2, timeout: 1m}]'
    cells = {cell.id: (cell.timeout_s, cell.blocks) for cell in study(tmp_path, text).cells}
    assert cells == {
        "lib=1.0,size=1": (900, None),
        "lib=1.0,size=2": (60, None),
        "lib=2.0,size=1": (5, 2),
        "lib=2.0,size=2": (60, 2),
    }


def test_an_included_cell_is_not_extended_by_a_later_entry(tmp_path: Path) -> None:
    """As in GitHub Actions, entries extend combinations of the axes, not included cells."""
    text = SMALL + 'include: [{lib: "3.0", size: 1}, {size: 1, blocks: 1}]'
    cells = {cell.id: cell.blocks for cell in study(tmp_path, text).cells}
    assert cells["lib=3.0,size=1"] is None
    assert cells["lib=2.0,size=1"] == 1


def test_values_are_compared_as_an_id_shows_them(tmp_path: Path) -> None:
    """A quoted number in include matches the cell with that number and adds no cell."""
    text = SMALL + 'include: [{size: "2", blocks: 1}]'
    assert [cell.blocks for cell in study(tmp_path, text).cells] == [None, 1, None, 1]


def test_aliases_are_followed(tmp_path: Path) -> None:
    """An alias may repeat coordinates."""
    text = SMALL + 'baseline: &base {lib: "1.0", size: 1}\nexclude: [*base]\n'
    assert problems_of(tmp_path, text) == [
        "10:11: baseline: no cell has these values together; change one"
    ]
    assert len(study(tmp_path, text.replace("exclude: [*base]", "")).cells) == 4


def test_the_committed_schema_is_up_to_date() -> None:
    """The file matrix.schema.json equals the output of `schema`."""
    assert json.loads((ROOT / "matrix.schema.json").read_text()) == json_schema()


def test_every_key_is_in_the_reference() -> None:
    """The page docs/matrix.md names every key of the schema."""
    page = (ROOT / "docs" / "matrix.md").read_text()
    document = json_schema()
    assert isinstance(document["$defs"], dict)
    sections = [document, *document["$defs"].values()]
    keys = {key for section in sections for key in section.get("properties", ())}
    assert keys >= {"axes", "as_of", "against"}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_a_thousand_cells_are_read_quickly(tmp_path: Path) -> None:
    """Reading and expanding 10 x 10 x 10 values takes less than a second."""
    versions = [f"1.{n}" for n in range(10)]
    text = SMALL.replace('["1.0", "2.0"]', json.dumps(versions))
    text = text.replace("size: [1, 2]", f"size: {list(range(10))}\n  more: {list(range(10))}")
    begin = time.process_time()
    assert len(study(tmp_path, text).cells) == 1000
    assert time.process_time() - begin < 1
