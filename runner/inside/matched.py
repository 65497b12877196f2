"""Matched mode: the same initial weights and order of samples for every version.

The runner lays this file beside the script when a matrix says ``matched: true``; the script says
``import matched``. It runs inside the environments: Python 3.6 to 3.13, standard library and numpy.
All numbers come from the trial's seed through ``RandomState.random_sample``, whose stream numpy has
frozen (NEP 19), so that every release of numpy hands out the same ones.
"""

import hashlib
import json
import os
from typing import Any, Tuple

import numpy as np

_handed = hashlib.sha256()


def weights(name: str, shape: Tuple[int, int]) -> Any:
    """Return initial weights of a layer as float32: Glorot's uniform, of inputs x outputs.

    They lie between plus and minus ``sqrt(6 / (inputs + outputs))``; see Glorot and Bengio (2010).
    """
    limit = np.sqrt(6.0 / sum(shape))
    numbers = _stream("weights", name, *shape).random_sample(shape)
    return _hand((limit * (2 * numbers - 1)).astype("float32"))


def order(epoch: int, samples: int) -> Any:
    """Return the order of the samples in an epoch (counted from 0) as int64: a permutation."""
    numbers = _stream("order", epoch, samples).random_sample(samples)
    return _hand(np.argsort(numbers, kind="mergesort").astype("int64"))


def digest() -> str:
    """Return a digest of all that was handed out so far; trials that match have the same one.

    The script writes it into its result's ``environment`` as ``matched``: only then are its trials
    paired.
    """
    return _handed.hexdigest()[:16]


def _stream(*what: Any) -> Any:
    """Return a generator that depends on the trial's seed and on what the numbers are for."""
    with open(os.environ["PARAMS_PATH"]) as file:
        seed = json.load(file)["seed"]
    key = "\0".join(map(str, (seed, *what))).encode()
    return np.random.RandomState(np.frombuffer(hashlib.sha256(key).digest(), dtype="<u4"))


def _hand(numbers: Any) -> Any:
    _handed.update(numbers.tobytes())
    return numbers
