"""Units of metrics: which are times, and which have nothing to do with a machine's speed."""

import re

_TIME = re.compile(
    "(m|u|\N{MICRO SIGN}|\N{GREEK SMALL LETTER MU}|n|milli|micro|nano)?s(ec(ond)?s?)?"
    "|min(ute)?s?|h|hrs?|hours?"
)
_RATE = re.compile("[kmgt]?(hz|flops|bps)|[fqrti]ps")
_SIZE = re.compile("[kmgt]?i?(b|bytes?|bits?)|%|percent|points")


def is_time(unit: str) -> bool:
    """Whether a number with this unit is a time: ``s``, ``us/sample``, ``s per epoch``."""
    counted = re.split(r"/|\bper\b", unit.lower())[0]
    return any(map(_TIME.fullmatch, _words(counted)))


def is_rate(unit: str) -> bool:
    """Whether a number with this unit is an amount in a time: ``rows/s``, ``fps``."""
    words = _words(unit)
    return not is_time(unit) and any(_TIME.fullmatch(one) or _RATE.fullmatch(one) for one in words)


def is_size(unit: str) -> bool:
    """Whether the unit is a size or a share, which the speed of a machine does not change."""
    return any(map(_SIZE.fullmatch, _words(unit)[:1])) and not is_rate(unit)


def _words(unit: str) -> list[str]:
    return re.findall(r"[^\W\d_]+|%", unit.lower())
