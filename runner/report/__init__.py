"""The report of a run, on three floors.

``view`` says what the report says, as plain text in records (``page``); ``render`` and ``plots``
decide how that looks. What ``view`` says comes from ``verdicts`` (what is concluded), ``measured``
(what the trials gave), ``published`` (what others said of it) and ``surroundings`` (what the trials
ran in). These read ``evidence``, and write with ``wording`` and ``verdict_words``, as do
``reproduced`` and ``differing``, which set two runs beside one another.
"""

from pathlib import Path

from runner.runs.folder import RunFolder


def write(folder: RunFolder) -> Path:
    """Write the report of a run from its folder alone, finished or not; return where it lies.

    RunFolderError if the folder cannot be read or written.
    """
    # Heavy ones, such as scipy and altair, are loaded only where a report is made.
    from runner.report import figures, render  # noqa: PLC0415
    from runner.report.view import view  # noqa: PLC0415

    stored = folder.stored()
    report = view(stored.run, stored.plan, stored.images, stored.results, stored.logs)
    for figure in render.figures_of(report):
        folder.save_text(render.image_path(figure), figures.svg(figure.chart))
    folder.save_text("report.html", render.html_page(report))
    return folder.save_text("report.md", render.markdown(report))
