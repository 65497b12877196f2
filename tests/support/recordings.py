"""``python -m tests.support.recordings`` writes docs/recordings.md: what terminals really show.

With ``--columns 120``, ``--plain`` (NO_COLOR) or ``--pipe``, it prints the same recordings instead,
with the colour of each line before it. The trials are processes, and a busy machine is ignored.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.studies import CALM, ROOT
from tests.support.terminal import Recording, environment, recorded

PAGE = ROOT / "docs" / "recordings.md"
HEAD = """\
# What a terminal shows

These recordings show a terminal of 80 columns, with trials as processes. Each is what a person
sees in the end: while a trial runs, a last line shows its time and the newest line that it printed.
`python -m tests.support.recordings` makes this page. It ignores that the machine is busy, so its
numbers are no measurements.
"""
BENCH = """\
import random
import sys

from sortedcontainers import SortedList

random.seed(1)
if "--broken" in sys.argv:
    raise ValueError("this script was asked to fail, so that its log can be seen in full")
found = SortedList(random.random() for _ in range(100_000))
print("largest", found[-1])
"""
STUDY = """\
format: 1
name: sorting
axes:
  sortedcontainers: {package: sortedcontainers, versions: ["2.3.0", "2.4.0"]}
  kind: [whole, broken]
experiment: {script: bench.py, args: ["--{kind}"]}
policy: {wall_time: +5%}
blocks: 5
looks: 1
"""
FAILING = "sortedcontainers=2.4.0,kind=broken"
PAIR = "sortedcontainers==2.3.0 sortedcontainers==2.4.0"
COMPARE = f"matrix-runner compare {PAIR} --engine venv -- bench.py"
RUN = "matrix-runner --engine venv"
MARK = "<!-- not run: `python -m tests.support.recordings` recorded it -->"
PLACE = "~/projects/sortedlists"
"""Shown instead of the temporary folder, and as long, so that the same lines are broken."""


def recordings(
    folder: Path, columns: int, *, colour: bool, pipe: bool
) -> Iterator[tuple[str, str]]:
    """Yield the title of each recording with its text."""
    programs = folder / "bin"
    programs.mkdir()
    own = programs / "matrix-runner"
    own.write_text(f"#!{sys.executable}\n{CALM}")
    own.chmod(0o755)
    (folder / "study").mkdir()
    variables = environment(colour=colour, PYTHONPATH=str(ROOT))
    variables["PATH"] = f"{programs}:{variables['PATH']}"

    def show(line: str, interrupt_at: str | None = None) -> str:
        command = ["bash", "-c", f"{line} | cat" if pipe else line]
        made = recorded(
            command,
            folder=folder / "study",
            columns=columns,
            variables=variables,
            interrupt_at=interrupt_at,
        )
        return _shown(line, made)

    (folder / "study" / "bench.py").write_text(BENCH)
    yield "Compare two versions", show(COMPARE)
    (folder / "study" / "matrix.yaml").write_text(STUDY)
    yield "Run a study, and press Ctrl-C", show(RUN, interrupt_at="block 1 of")
    resumed: list[str] = []
    resuming = threading.Thread(target=lambda: resumed.append(show(RUN)))
    resuming.start()
    time.sleep(8)
    yield "See from another terminal how far it is", show("matrix-runner status")
    resuming.join()
    yield "Resume it with the same command", resumed[0]
    yield "Try the failing cell", show(f"matrix-runner try {FAILING} --engine venv")


def _shown(line: str, made: Recording) -> str:
    """Return a command with the lines below it; each with its colour if there are colours."""
    lines = (f"{made.colours.get(one, ''):8}{one}".rstrip() for one in made.lines)
    return "\n".join((f"$ {line}", *lines))


def main() -> int:
    """Write the page, or print the recordings as other terminals show them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--pipe", action="store_true")
    given = parser.parse_args()
    is_page = not (given.columns or given.plain or given.pipe)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        parts = [] if not is_page else [HEAD]
        for title, text in recordings(
            Path(folder), given.columns or 80, colour=not given.plain, pipe=given.pipe
        ):
            shown = text
            if is_page:
                first, *others = text.replace(f"{folder}/study", PLACE).split("\n")
                shown = "\n".join((first, *(one[8:] for one in others)))
            parts.append(f"## {title}\n\n{MARK}\n```console\n{shown}\n```\n")
    page = "\n".join(parts)
    if is_page:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
