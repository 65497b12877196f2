"""Keep many numbers sorted, and print some of them."""

import random

from sortedcontainers import SortedList

numbers = random.Random(7)
kept = SortedList()
for _ in range(20_000):
    kept.add(numbers.random())
    if len(kept) > 5_000:
        del kept[0]
for place in (0, 1_000, 4_999):
    print(f"{place}: {kept[place]:.6f}")
assert list(kept) == sorted(kept)
