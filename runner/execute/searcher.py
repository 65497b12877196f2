"""A program that applies a regular expression to a text, and that cannot run for ever.

It reads ``{"pattern", "text", "most"}`` as JSON and writes a list of what it found: the first group
of each match, or the whole match. It finds the first ``most`` matches, or without a number the last
one. It needs only the standard library.
"""

import json
import re
import resource
import signal
import sys
from collections import deque
from itertools import islice

CPU_S = 5
MEMORY_BYTES = 1 << 30


def main() -> None:
    """Search within limits that the kernel enforces, because a search answers no signal."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = json.load(sys.stdin)
    pattern = re.compile(given["pattern"], re.MULTILINE)
    every, most = pattern.finditer(given["text"]), given["most"]
    matches = deque(every, maxlen=1) if most is None else islice(every, most)
    found = [match[pattern.groups] or "" for match in matches]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
