"""The report of a run, on three floors.

``view`` says what the report says, as plain text in records (``page``); ``render`` decides how that
looks. What ``view`` says comes from ``measured`` (what the trials gave), ``published`` (what others
said of it) and ``surroundings`` (what the trials ran in). These read ``evidence``, and write
numbers with ``wording``.
"""

from pathlib import Path

from runner.store import RunFolder


def write(folder: RunFolder) -> Path:
    """Write the report of a run from its folder alone, finished or not; return where it lies.

    RunFolderError if the folder cannot be read or written.
    """
    # Jinja2 and tabulate are loaded only where a report is made.
    from runner.report.render import markdown  # noqa: PLC0415
    from runner.report.view import view  # noqa: PLC0415

    stored = folder.stored()
    report = view(stored.run, stored.plan, stored.images, stored.results, stored.logs)
    return folder.save_report(markdown(report))
