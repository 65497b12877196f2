"""Bundles that cannot be written or used."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, edited, files, folder, ran, study

BUNDLES = Section(
    title="Bundles",
    messages=(
        Message(
            line="bundle --output gone/a.tar.gz",
            given=study(),
            code=Exit.RUN_FOLDER,
            place="gone/a.tar.gz",
            says="gone/a.tar.gz cannot be written: there is no folder gone; create it.",
        ),
        Message(
            line="replay a.tar.gz",
            given=files({"a.tar.gz": "x"}),
            code=Exit.RUN_FOLDER,
            place="a.tar.gz",
            says="a.tar.gz cannot be unpacked (Not a gzipped file (b'x')); free some disk space, or get another copy.",
        ),
        Message(
            line="replay b",
            given=folder("b"),
            code=Exit.RUN_FOLDER,
            place="b/bundle.json",
            says="b is not a bundle (b/bundle.json: No such file or directory); name another folder.",
        ),
        Message(
            line="replay b",
            given=files({"b/bundle.json": "{}"}),
            code=Exit.RUN_FOLDER,
            place="b/bundle.json",
            says="b/bundle.json is damaged (created_at: Field required); get another copy.",
        ),
        Message(
            line="replay b",
            given=files({"b/bundle.json": '{"format": 99}'}),
            code=Exit.RUN_FOLDER,
            place="b/bundle.json",
            says="b/bundle.json was written by a newer matrix-runner (format 99, this one reads up to 2): upgrade matrix-runner. The bundle's replay.sh does that.",
        ),
        Message(
            line="bundle",
            given=after(
                study(), ran("run --blocks 1"), edited("matrix.yaml", "epochs: 5", "epochs: 6")
            ),
            place="reports/20260101-000000-tiny",
            says="the study has changed since reports/20260101-000000-tiny was measured (cells model=one, cells model=two); undo the changes, or run the matrix again.",
        ),
    ),
)
