"""Matrices for tests: a small one, and one with every key."""

from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.read import read
from runner.records.study import Matrix

SMALL = """\
format: 1
name: small
axes:
  lib: {package: numpy, versions: ["1.0", "2.0"]}
  size: [1, 2]
experiment: {script: run.py}
metrics:
  seconds: {unit: s, better: lower}
  loss_at_end: {better: neither}
"""

FULL = (
    SMALL
    + """\
title: A small study
exclude: [{lib: "1.0", size: 2}]
include:
  - {lib: "2.0", timeout: 2h, parameters: {epochs: 9}}
  - {lib: "3.0", size: 1, expect: no-image, blocks: 2}
environment:
  {python: "3.7", as_of: 2019-10-15, base: host, packages: ["six<2"], compile: true,
   source_packages: refuse}
parameters: {epochs: 5, rate: 1e-3, fast: true, kind: adam}
quick: {epochs: 1}
baseline: {lib: "1.0"}
blocks: 3
limits: {cpus: 2, memory: 512m, timeout: 90, pids: 99, log: 4k}
policy: {seconds: +3%}
published:
  source: a paper
  cells:
    - {cell: {lib: "1.0", size: 1}, values: {seconds: 5}}
    - {cell: {lib: "3.0", size: 1}, note: did not build}
claims:
  - {id: a, text: Faster., of: {lib: "2.0", size: 1}, against: {lib: "1.0", size: 1},
     metric: seconds, says: lower, published: [4, 5.5]}
  - {id: b, text: Broken., of: {lib: "3.0", size: 1}, status: no-image}
"""
)


def study(folder: Path, text: str) -> Matrix:
    """Write a matrix into a folder and read it."""
    (folder / "run.py").write_text("")
    (folder / "matrix.yaml").write_text(text)
    return read(folder / "matrix.yaml")


def problems_of(folder: Path, text: str | bytes) -> list[str]:
    """Return the problems of an invalid matrix, one line each, without the file name."""
    (folder / "run.py").write_text("")
    path = folder / "matrix.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as raised:
        read(path)
    return [line.removeprefix(f"{path}:") for line in str(raised.value).split("\n")]
