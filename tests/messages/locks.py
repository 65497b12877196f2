"""Locks, lock files, projects and indexes."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import (
    after,
    axis,
    files,
    folder,
    link,
    no_cache,
    pipe,
    repository,
    small,
)

LOCKS = Section(
    title="Locks, and what a study takes from outside",
    messages=(
        Message(
            line="lock",
            given=after(axis("[1, 2]"), no_cache),
            code=Exit.ENGINE,
            place="/dev/null/matrix-runner",
            says="uv could not list the interpreters of this machine: Failed to initialize cache at `/dev/null/matrix-runner...`: ... Set XDG_CACHE_HOME to a folder that you can write.",
        ),
        Message(
            line="plan",
            given=after(
                repository({"pyproject.toml": ""}),
                small(
                    "environment: {source_packages: refuse}",
                    ("  size: [1, 2]", "  p: {project: ., at: [main]}"),
                ),
            ),
            place="matrix.yaml:10:32: environment.source_packages",
            says="matrix.yaml:10:32: environment.source_packages: the axis `p` must be built; remove this",
        ),
        Message(
            line="plan",
            given=axis("{lock: [a.txt]}"),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says="matrix.yaml:4:17: axes.model.lock[0]: a.txt: there is no file a.txt; check the path",
        ),
        Message(
            line="plan",
            given=axis("{lock: ['../uv.lock']}"),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says="matrix.yaml:4:17: axes.model.lock[0]: ../uv.lock: there is no file ../uv.lock or ../pyproject.toml; check the path",
        ),
        Message(
            line="plan",
            given=axis("{lock: [gone/uv.lock]}"),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says="matrix.yaml:4:17: axes.model.lock[0]: gone/uv.lock: there is no file gone/uv.lock or gone/pyproject.toml; check the path",
        ),
        Message(
            line="plan",
            given=axis("{lock: ['git:main:uv.lock']}"),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says="matrix.yaml:4:17: axes.model.lock[0]: git:main:uv.lock: main cannot be read: . is in no git repository; name a folder or file without it",
        ),
        Message(
            line="plan",
            given=after(axis("{lock: ['git:main:uv.lock']}"), repository({"x": ""})),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says='matrix.yaml:4:17: axes.model.lock[0]: git:main:uv.lock: main has no file "uv.lock"; check the path',
        ),
        Message(
            line="plan",
            given=after(axis("{lock: ['git:nope:uv.lock']}"), repository({"x": ""})),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says='matrix.yaml:4:17: axes.model.lock[0]: git:nope:uv.lock: {here} has no branch, tag or commit "nope"; `git branch --all` and `git tag` list the names',
        ),
        Message(
            line="plan",
            given=after(axis("{lock: ['git:main:../uv.lock']}"), repository({"x": ""})),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says='matrix.yaml:4:17: axes.model.lock[0]: git:main:../uv.lock: "../uv.lock" leads out of the repository: name a path inside it, relative to the folder of the matrix',
        ),
        Message(
            line="plan",
            given=after(
                axis("{lock: ['git:main:sub/uv.lock']}"), repository({"sub/uv.lock/x": ""})
            ),
            place="matrix.yaml:4:17: axes.model.lock[0]",
            says='matrix.yaml:4:17: axes.model.lock[0]: git:main:sub/uv.lock: "sub/uv.lock" is a folder in main: name a file',
        ),
        Message(
            line="lock",
            given=after(axis("{lock: [requirements.txt]}"), files({"requirements.txt": "numpy\n"})),
            place="requirements.txt",
            says='requirements.txt cannot be read as a lock file: "numpy" has no exact version; write one such as numpy==1.26.4.',
        ),
        Message(
            line="lock",
            given=after(
                axis("{lock: [requirements.txt]}"), files({"requirements.txt": "-r other.txt\n"})
            ),
            place="requirements.txt",
            says='requirements.txt cannot be read as a lock file: "-r" is not supported; write all packages into one file.',
        ),
        Message(
            line="lock",
            given=after(
                axis("{lock: [requirements.txt]}"),
                files({"requirements.txt": "numpy==1.0 --global-option=x\n"}),
            ),
            place="requirements.txt",
            says='requirements.txt cannot be read as a lock file: "numpy==1.0 --global-option=x" has an option that is not supported; keep only `--hash`.',
        ),
        Message(
            line="lock",
            given=after(
                axis("{lock: [requirements.txt]}"),
                files({"requirements.txt": "numpy==1.0 --hash=md5:abc\n"}),
            ),
            place="requirements.txt",
            says='requirements.txt cannot be read as a lock file: "numpy==1.0" has no sha256 among its hashes; add it.',
        ),
        Message(
            line="lock",
            given=after(axis("{lock: [requirements.txt]}"), files({"requirements.txt": b"\xff"})),
            place="requirements.txt",
            says="requirements.txt cannot be read as a lock file: it is not UTF-8; export it again.",
        ),
        Message(
            line="lock",
            given=after(
                axis("{lock: [pylock.toml]}"), files({"pylock.toml": 'lock-version = "9.0"\n'})
            ),
            place="pylock.toml",
            says="pylock.toml cannot be read as a lock file: its format 9.0 is newer than PEP 751; export it in format 1.0.",
        ),
        Message(
            line="lock",
            given=after(
                axis("{lock: [pylock.toml]}"),
                files(
                    {
                        "pylock.toml": 'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\ndirectory = {path = "."}\n'
                    }
                ),
            ),
            place="pylock.toml",
            says="pylock.toml cannot be read as a lock file: a comes from a folder, a repository or a URL; use only packages from an index.",
        ),
        Message(
            line="lock",
            given=after(axis("{lock: [pylock.toml]}"), files({"pylock.toml": "["})),
            place="pylock.toml",
            says="pylock.toml cannot be read as a lock file: Invalid initial character for a key part (at end of document); export it again.",
        ),
        Message(
            line="lock",
            given=after(axis("{lock: [uv.lock]}"), files({"uv.lock": "", "pyproject.toml": ""})),
            place="uv.lock",
            says="uv could not read uv.lock: ...; run `uv lock` to make it again.",
        ),
        Message(
            line="plan",
            given=axis("{project: ., at: [main]}"),
            place="matrix.yaml:4:27: axes.model.at[0]",
            says='matrix.yaml:4:27: axes.model.at[0]: project "." at "main": main cannot be read: . is in no git repository; name a folder or file without it',
        ),
        Message(
            line="plan",
            given=after(axis("{project: ., at: [main]}"), repository({"a.txt": ""})),
            place="matrix.yaml:4:27: axes.model.at[0]",
            says='matrix.yaml:4:27: axes.model.at[0]: project "." at "main": it has neither a pyproject.toml nor a setup.py; name the folder that has one',
        ),
        Message(
            line="plan",
            given=after(axis("{project: sub, at: [main]}"), repository({"pyproject.toml": ""})),
            place="matrix.yaml:4:29: axes.model.at[0]",
            says='matrix.yaml:4:29: axes.model.at[0]: project "sub" at "main": main has no folder "sub"; check the path',
        ),
        Message(
            line="plan",
            given=after(
                axis("{project: ., at: [worktree]}"),
                repository({"pyproject.toml": ""}),
                link("out", "/etc/passwd"),
            ),
            place="matrix.yaml:4:27: axes.model.at[0]",
            says='matrix.yaml:4:27: axes.model.at[0]: project "." at "worktree": the link "out" leads out of the project; replace it by its target',
        ),
        Message(
            line="plan",
            given=axis("{project: ../.., at: [main]}"),
            place="matrix.yaml:4:31: axes.model.at[0]",
            says='matrix.yaml:4:31: axes.model.at[0]: project "../.." at "main": main cannot be read: . is in no git repository; name a folder or file without it',
        ),
        Message(
            line="plan",
            given=axis("{dockerfile: [gone]}"),
            place="matrix.yaml:4:23: axes.model.dockerfile[0]",
            says="matrix.yaml:4:23: axes.model.dockerfile[0]: {here}/gone contains no Dockerfile: add one, or correct the path",
        ),
        Message(
            line="plan",
            given=axis("{dockerfile: [../x]}"),
            place="matrix.yaml:4:23: axes.model.dockerfile[0]",
            says="matrix.yaml:4:23: axes.model.dockerfile[0]: ../x leads out of the folder of the matrix; copy it there",
        ),
        Message(
            line="plan",
            given=after(
                axis("{dockerfile: [d]}"), files({"d/Dockerfile": ""}), link("d/out", "/etc")
            ),
            place="matrix.yaml:4:23: axes.model.dockerfile[0]",
            says="matrix.yaml:4:23: axes.model.dockerfile[0]: the build context {here}/d cannot be used: the link out leads out of it, to /etc. Correct this, or name it in {here}/d/.dockerignore",
        ),
        Message(
            line="plan",
            given=after(
                axis("{dockerfile: [d]}"), files({"d/Dockerfile": "", "d/.dockerignore": "[a"})
            ),
            place="matrix.yaml:4:23: axes.model.dockerfile[0]",
            says="matrix.yaml:4:23: axes.model.dockerfile[0]: the build context {here}/d cannot be used: .dockerignore has a `[` without its `]` in '[a'. Correct this, or name it in {here}/d/.dockerignore",
        ),
        Message(
            line="plan",
            given=after(axis("{dockerfile: [d]}"), files({"d/Dockerfile": ""}), pipe("d/p")),
            place="matrix.yaml:4:23: axes.model.dockerfile[0]",
            says="matrix.yaml:4:23: axes.model.dockerfile[0]: the build context {here}/d cannot be used: {here}/d/p: is not a regular file. Correct this, or name it in {here}/d/.dockerignore",
        ),
        Message(
            line="plan",
            given=axis("{package: numpy, versions: '>1'}"),
            place="matrix.yaml:4:36: axes.model.versions",
            says='matrix.yaml:4:36: axes.model.versions: the versions ">1" of numpy are not locked yet; run `python -m runner lock` first',
        ),
        Message(
            line="run --locked",
            given=axis("{package: numpy, versions: '>1'}"),
            place="matrix.yaml:4:36: axes.model.versions",
            says='matrix.yaml:4:36: axes.model.versions: the versions ">1" of numpy are not locked yet; run `python -m runner lock` first',
        ),
        Message(
            line="plan",
            given=after(small(), files({"matrix.lock": "x"})),
            place="matrix.lock",
            says="matrix.lock: the whole file: Invalid JSON: expected value at line 1 column 1; restore the lock from version control, or remove it and lock again.",
        ),
        Message(
            line="plan",
            given=after(small(), folder("matrix.lock")),
            place="matrix.lock",
            says="matrix.lock: cannot be read (Is a directory); remove it and lock again.",
        ),
        Message(
            line="plan",
            given=after(small(), files({"matrix.lock": '{"format": 99, "entries": []}'})),
            place="matrix.lock",
            says="matrix.lock: was written by a newer matrix-runner (format 99, this one reads up to 3): upgrade matrix-runner.",
        ),
        Message(
            line="plan",
            given=after(small(), link("matrix.lock", "matrix.lock")),
            place="matrix.lock",
            says="matrix.lock: cannot be read (Too many levels of symbolic links); remove it and lock again.",
        ),
        Message(
            line="plan",
            given=after(small(), pipe("matrix.lock")),
            place="matrix.lock",
            says="matrix.lock: cannot be read (is not a regular file); remove it and lock again.",
        ),
        Message(
            line="run --locked",
            given=small(),
            place="matrix.lock",
            says="matrix.lock has no entry for lib=1.0 and lib=2.0; run `python -m runner lock` and commit the file.",
        ),
    ),
)
