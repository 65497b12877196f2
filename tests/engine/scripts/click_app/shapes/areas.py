"""Areas."""

import math


def area(shape: str, size: float) -> float:
    """Return the area of a shape."""
    return math.pi * size**2 if shape == "circle" else size**2
