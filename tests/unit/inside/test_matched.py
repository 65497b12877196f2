"""Matched mode returns the same numbers with every numpy, and others for other purposes.

numpy 1.14.6, 1.16.4, 1.17.2, 1.17.3, 1.26.4, 2.4.6 and 2.5.5 on Python 3.6 to 3.13 all computed the
expected numbers. If a numpy changed them, the versions of a matrix would no longer match.
"""

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runner.inside import MATCHED

GUIDE = Path(__file__).parents[3] / "docs" / "experiments.md"
KERNEL = (784, 10)
Start = Callable[[int], Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that imports the file again, like the script of a trial with this seed."""

    def start(seed: int) -> ModuleType:
        params = tmp_path / "params.json"
        params.write_text(json.dumps({"seed": seed, "matched": True}), encoding="utf-8")
        monkeypatch.setenv("PARAMS_PATH", str(params))
        spec = importlib.util.spec_from_file_location("matched", MATCHED)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return start


def test_the_numbers_are_those_that_every_numpy_has_returned(start: Start) -> None:
    """The bits of float32 weights, two orders, and the digest of all of them."""
    matched = start(7)
    weights = matched.weights("kernel", (3, 2))
    assert weights.view("uint32").tolist() == [
        [1066019776, 3212357617],
        [3211292687, 1038955632],
        [3205964089, 1055389773],
    ]
    assert matched.order(0, 12).tolist() == [6, 8, 4, 3, 10, 7, 5, 11, 2, 9, 0, 1]
    assert matched.order(1, 12).tolist() == [11, 3, 1, 9, 4, 7, 10, 2, 6, 8, 0, 5]
    assert matched.digest() == "4e5c4668717145f6"


@pytest.mark.parametrize(
    ("seed", "digest"),
    [(0, "cbfb10aa90e0e39e"), (7, "1ec500133840e1ac"), (2**200 + 1, "613b5c338773a1f5")],
    ids=["0", "7", "2^200+1"],
)
def test_a_whole_training_set_has_the_expected_order(start: Start, seed: int, digest: str) -> None:
    """So many numbers check every step of the generator's stream."""
    matched = start(seed)
    matched.weights("kernel", KERNEL)
    matched.order(0, 60_000)
    matched.order(49, 60_000)
    assert matched.digest() == digest


def test_a_seed_repeats_its_numbers(start: Start) -> None:
    """Neither earlier calls nor numpy's global generator change them."""
    first, second = start(7), start(7)
    second.order(3, 50)
    np.random.seed(1)  # noqa: NPY002 - the one that scripts seed
    assert np.array_equal(first.weights("kernel", KERNEL), second.weights("kernel", KERNEL))
    assert np.array_equal(first.order(0, 1000), second.order(0, 1000))


def test_other_purposes_get_other_numbers(start: Start) -> None:
    """Weights depend on seed, name and shape; an order on seed, epoch and number of samples."""
    matched = start(7)
    weights = [
        matched.weights("kernel", KERNEL),
        matched.weights("other kernel", KERNEL),
        matched.weights("kernel", KERNEL[::-1]),
    ]
    orders = [matched.order(0, 100), matched.order(1, 100), matched.order(0, 101)]
    matched = start(8)
    weights.append(matched.weights("kernel", KERNEL))
    orders.append(matched.order(0, 100))
    assert len({tuple(one.ravel()[:50].tolist()) for one in weights}) == 4
    assert len({tuple(one[:50].tolist()) for one in orders}) == 4


@pytest.mark.parametrize("samples", [0, 1, 2, 1000])
def test_an_order_is_a_permutation(start: Start, samples: int) -> None:
    """Every epoch contains every sample once."""
    order = start(7).order(5, samples)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(samples))


def test_weights_fill_the_range_of_glorot(start: Start) -> None:
    """Uniform between the limits: mean 0 and variance limit^2 / 3, within five standard errors."""
    weights = start(7).weights("kernel", KERNEL)
    limit = (6 / sum(KERNEL)) ** 0.5
    assert weights.dtype == np.float32
    assert weights.shape == KERNEL
    assert 0.99 * limit < abs(weights).max() <= np.float32(limit)
    scaled = weights.astype("float64") / limit
    assert abs(scaled.mean()) < 5 * (1 / 3 / scaled.size) ** 0.5
    assert abs((scaled**2).mean() - 1 / 3) < 5 * (4 / 45 / scaled.size) ** 0.5


def test_the_digest_proves_which_numbers_were_returned(start: Start) -> None:
    """The same calls in the same order give the same digest; reading it changes nothing."""
    one, other = start(7), start(7)
    one.order(0, 10)
    assert one.digest() == one.digest() != other.digest()
    other.order(0, 10)
    assert one.digest() == other.digest()
    for epoch in (1, 2):
        one.order(epoch, 10)
        other.order(3 - epoch, 10)
    assert one.digest() != other.digest()
    assert re.fullmatch("[0-9a-f]{16}", one.digest())


def test_a_script_that_changes_its_numbers_does_not_change_later_ones(start: Start) -> None:
    """A script may train in the array that it got."""
    matched = start(7)
    weights = matched.weights("kernel", KERNEL)
    kept = weights.copy()
    weights[:] = 0
    assert np.array_equal(matched.weights("kernel", KERNEL), kept)


def test_the_file_needs_only_python_36_and_numpy() -> None:
    """It runs in every environment, without the runner."""
    tree = ast.parse(MATCHED.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"hashlib", "json", "numpy", "os", "typing"}


class FakeModel:
    """Remembers its weights and samples, with the interface of a Keras model."""

    def __init__(self) -> None:
        self.weights: list[Any] = []
        self.seen: list[list[int]] = []

    def set_weights(self, weights: list[Any]) -> None:
        self.weights = weights

    def fit(
        self, images: Any, labels: Any, batch: int, epochs: int, *, shuffle: bool = True
    ) -> None:
        assert (images == labels).all()
        assert (batch, epochs, shuffle) in {(32, 1, False), (32, 3, True)}
        self.seen.append(labels.tolist())


@pytest.mark.parametrize("wanted", [True, False], ids=["matched", "unmatched"])
def test_the_usage_in_the_guide_works(
    start: Start, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    """The lines in ``docs/experiments.md`` train on the matched numbers and report the digest."""
    guide = GUIDE.read_text(encoding="utf-8")
    (usage,) = re.findall(r"^```py\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    ast.parse(usage, feature_version=(3, 6))
    monkeypatch.setitem(sys.modules, "matched", start(7))
    model = FakeModel()
    environment: dict[str, str] = {}
    numbers = np.arange(64)
    exec(  # noqa: S102 - it is ours
        usage,
        {
            "trial": SimpleNamespace(matched=wanted, describe=environment.update),
            "np": np,
            "model": model,
            "images": numbers,
            "labels": numbers,
            "batch": 32,
            "epochs": 3,
        },
    )
    if not wanted:
        assert (model.weights, model.seen, environment) == ([], [numbers.tolist()], {})
        return
    expected = start(7)
    assert np.array_equal(model.weights[0], expected.weights("kernel", KERNEL))
    assert model.seen == [expected.order(epoch, 64).tolist() for epoch in range(3)]
    assert environment == {"matched": expected.digest()}
