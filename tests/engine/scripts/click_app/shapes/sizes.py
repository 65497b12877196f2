"""Sizes."""

import configparser
from collections.abc import Iterator


def sizes(config: configparser.ConfigParser, count: int) -> Iterator[float]:
    """Yield sizes up to the largest."""
    largest = config.getfloat("sizes", "largest")
    return (largest * (place + 1) / count for place in range(count))
