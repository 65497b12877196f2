"""Run folder -> report, as Markdown and as HTML.

``view`` composes the report from ``sections``; each reads the ``evidence`` and writes with
``words``. The result is plain text in ``records``. ``render`` and ``figures`` decide how it looks.
"""

from pathlib import Path

from runner.runs.folder import RunFolder


def write(folder: RunFolder) -> Path:
    """Write the report of a run, finished or not, from its folder alone; return its path.

    RunFolderError if the folder cannot be read or written.
    """
    # Heavy packages, such as scipy, are loaded only when a report is made.
    from runner.report import render  # noqa: PLC0415
    from runner.report.view import view  # noqa: PLC0415

    report = view(folder.stored())
    for figure in report.figures:
        folder.save_text(render.image_path(figure), figure.drawing.file())
    folder.save_text("report.html", render.html_page(report))
    return folder.save_text("report.md", render.markdown(report))
