"""Run folder -> report, as Markdown and as HTML.

``view`` composes the report from ``sections``; each reads the ``evidence`` and writes with
``words``. The result is plain text in ``records``. ``render`` and ``figures`` decide how it looks.
"""

from collections.abc import Sequence
from pathlib import Path

from runner import __version__
from runner.judge.records import Interval
from runner.records.study import Matrix
from runner.runs.folder import RunFolder, StoredRun

REPORT = "report.md"
ANSWER = "answer.txt"
PAGE = "report.html"
OPEN = "cannot tell "
"""How a line of the answer begins about a change that is not decided."""
HOPELESS = "Even the last look"
"""How the answer says that more blocks would not help."""
OTHERS = (
    *(PAGE, "summary.md", ANSWER, "report.json", "report.csv", "results.csv"),
    "junit.xml",
)


def current(folder: RunFolder) -> Path | None:
    """Return the path of a report that this version wrote after everything that it is made from."""
    mark = f'content="matrix-runner {__version__}"'
    is_ours = mark.encode() in folder.beginning(PAGE)
    return folder.path / REPORT if is_ours and folder.is_older_than(REPORT, *OTHERS) else None


def answer(folder: RunFolder) -> list[str]:
    """Return the lines that a terminal shows of a report that was written."""
    return folder.beginning(ANSWER).decode(errors="replace").splitlines()


def interval_lines(matrix: Matrix, intervals: Sequence[Interval]) -> list[str]:
    """Return the lines that a terminal shows between two looks."""
    from runner.report.intervals import lines  # noqa: PLC0415 (the words need much)

    return list(lines(matrix, intervals))


def write(folder: RunFolder) -> Path:
    """Write the report of a run, finished or not, from its folder alone; return its path.

    RunFolderError if the folder cannot be read or written.
    """
    for name, text in contents(folder.stored(whole=False)).items():
        folder.save_text(name, text)
    return folder.path / REPORT


def contents(stored: StoredRun) -> dict[str, str]:
    """Return the content of each file of a report, by its name."""
    # Heavy packages, such as scipy, are loaded only when a report is made.
    from runner.report import export, render  # noqa: PLC0415
    from runner.report.evidence import gather  # noqa: PLC0415
    from runner.report.view import view  # noqa: PLC0415

    evidence = gather(stored)
    report = view(evidence)
    document = export.document(evidence, report)
    files = export.files(evidence, document)
    return {
        **files,
        **{render.image_path(one): one.drawing.file() for one in report.figures},
        "summary.md": render.summary(report),
        ANSWER: render.terminal(report),
        PAGE: render.html_page(report, export.downloads(stored, files)),
        REPORT: render.markdown(report),
    }


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of report.json."""
    from runner.report.document import ReportDocument  # noqa: PLC0415
    from runner.system import stored  # noqa: PLC0415

    return stored.json_schema(ReportDocument)
