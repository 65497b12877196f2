"""Matched mode: every version gets the same initial weights and the same order of samples.

If the matrix says ``matched: true``, scripts can import this file. It needs Python 3.6 to 3.14, the
standard library and numpy. All numbers depend on the trial's seed. They come from
``RandomState.random_sample``, whose stream numpy has frozen (NEP 19), so every release of numpy
returns the same ones.
"""

import hashlib
import json
import os
from typing import Any, Tuple

import numpy as np

_returned = hashlib.sha256()


def weights(name: str, shape: Tuple[int, int]) -> Any:
    """Return the initial weights of a layer (inputs x outputs) as float32: Glorot's uniform.

    They lie between plus and minus ``sqrt(6 / (inputs + outputs))``; see Glorot and Bengio (2010).
    """
    limit = np.sqrt(6.0 / sum(shape))
    numbers = _stream("weights", name, *shape).random_sample(shape)
    return _record((limit * (2 * numbers - 1)).astype("float32"))


def order(epoch: int, samples: int) -> Any:
    """Return the order of the samples in an epoch (counted from 0), a permutation of int64."""
    numbers = _stream("order", epoch, samples).random_sample(samples)
    return _record(np.argsort(numbers, kind="mergesort").astype("int64"))


def digest() -> str:
    """Return a digest of all numbers returned so far; it is the same in matching trials.

    The script writes it to ``environment.matched`` in its result. Otherwise its trials are not
    paired.
    """
    return _returned.hexdigest()[:16]


def _stream(*purpose: Any) -> Any:
    """Return a generator that depends on the trial's seed and on the purpose of the numbers."""
    with open(os.environ["PARAMS_PATH"]) as file:
        seed = json.load(file)["seed"]
    key = "\0".join(map(str, (seed, *purpose))).encode()
    return np.random.RandomState(np.frombuffer(hashlib.sha256(key).digest(), dtype="<u4"))


def _record(numbers: Any) -> Any:
    _returned.update(numbers.tobytes())
    return numbers
