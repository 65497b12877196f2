"""What `init` and `compare` refuse."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, files, folder, small

STUDIES = Section(
    title="`init` and `compare`",
    messages=(
        Message(
            line="compare numpy==1 numpy==2 --with -- a.py",
            place="argument --with",
            says="python -m runner compare: error: argument --with: expected a package, or -r FILE\n`python -m runner help compare` lists what is possible.",
        ),
        Message(
            line="compare numpy==1 numpy==2 --better more -- a.py",
            place="argument --better",
            says="python -m runner compare: error: argument --better: expected lower or higher, not 'more'\n`python -m runner help compare` lists what is possible.",
        ),
        Message(
            line="init",
            given=small(),
            place="matrix.yaml",
            says="matrix.yaml exists and is kept; remove it, or give another --matrix.",
        ),
        Message(
            line="init",
            place="--package PACKAGE",
            says="there is nobody to ask; give --package PACKAGE --versions VERSIONS --script SCRIPT.",
        ),
        Message(
            line="init --package numpy==1 --versions 1,2 --script a.py",
            place='"numpy==1"',
            says='"numpy==1" is not the name of a package; give only its name.',
        ),
        Message(
            line="init --package numpy --versions 1 --script a.py",
            place='"1"',
            says='"1" cannot be compared; give two or more versions, such as 1.26.4,2.3.1, or a range such as ">=1.22,<2.3".',
        ),
        Message(
            line="init --package numpy --versions 1,2 --script ../a.py",
            place="../a.py",
            says='"../a.py" is no script in this folder; give a name like a.py.',
        ),
        Message(
            line="compare numpy==1 numpy==2",
            place="-- SCRIPT",
            says="there is nothing to run; end the line with `-- SCRIPT [ARGUMENT ...]`, such as `-- bench.py --size 1000`, or with a command such as `-- pytest bench`.",
        ),
        Message(
            line="compare numpy==1 -- a.py",
            place="numpy==1",
            says="numpy==1 alone compares nothing; give two or more values.",
        ),
        Message(
            line="compare numpy==1 numpy==1 -- a.py",
            place="numpy==1",
            says="numpy==1 and numpy==1: each value can be given once; remove the other.",
        ),
        Message(
            line="compare numpy==1 python==3.12 -- a.py",
            place="numpy==1",
            says="numpy==1 and python==3.12 differ in kind; compare values of one kind.",
        ),
        Message(
            line="compare numpy==1 numpy=2 -- a.py",
            place='"numpy=2"',
            says='"numpy=2" is not a version of a package (numpy==1.26.4) or of Python (python==3.12), a lock file (uv.lock, git:main:uv.lock), or a revision of a project (.@v1.0); did you mean numpy==2?',
        ),
        Message(
            line="compare numpy==1 other -- a.py",
            place='"other"',
            says='"other" is not a version of a package (numpy==1.26.4) or of Python (python==3.12), a lock file (uv.lock, git:main:uv.lock), or a revision of a project (.@v1.0); check it.',
        ),
        Message(
            line="compare a@v1 b@v2 -- a.py",
            place="a",
            says="a and b: revisions of one project can be compared; name one.",
        ),
        Message(
            line="compare numpy==1 numpy==2 -- a.py",
            place="a.py",
            says='there is no script "a.py" here; check the path.',
        ),
        Message(
            line="compare numpy==1 numpy==2 -- /bin/a.py",
            place="/bin/a.py",
            says='there is no script "/bin/a.py" here; check the path.',
        ),
        Message(
            line="compare numpy==1 numpy==2 -- ../outside.py",
            given=files({"../outside.py": ""}),
            place="../outside.py",
            says="../outside.py is outside of this folder; go to its folder, or copy it.",
        ),
        Message(
            line="compare uv.lock b.lock --with x -- a.py",
            given=files({"a.py": "", "uv.lock": "", "b.lock": ""}),
            place="--with",
            says="all packages come from the lock files; remove --with.",
        ),
        Message(
            line="compare numpy==1 numpy==2 --with -r a --with -r b -- a.py",
            given=files({"a.py": ""}),
            place="requirements",
            says="one file of requirements can be given; write them into one file.",
        ),
        Message(
            line="compare numpy==1 numpy==2 --save x/m.yaml -- a.py",
            given=files({"a.py": ""}),
            place="x/m.yaml",
            says="x/m.yaml is not in this folder, where its paths begin; save it here.",
        ),
        Message(
            line="compare numpy==1 numpy==2 --save m.yaml -- a.py",
            given=files({"a.py": "", "m.yaml": "x"}),
            place="m.yaml",
            says="m.yaml exists and is another study; save under another name.",
        ),
        Message(
            line="compare numpy==1 numpy==2 --metric a=( -- a.py",
            given=files({"a.py": ""}),
            place="reports/compare/numpy-a5612eab/matrix.yaml:18:22: metrics.a.from.stdout",
            says='reports/compare/numpy-a5612eab/matrix.yaml:18:22: metrics.a.from.stdout: expected a regular expression (missing ), unterminated subpattern at position 0), found "("',
        ),
        Message(
            line="compare numpy==1 numpy==2 --save m.yaml -- a.py",
            given=after(files({"a.py": ""}), folder("m.yaml")),
            code=Exit.RUN_FOLDER,
            place="m.yaml",
            says="m.yaml: Is a directory; fix this and repeat the command. Everything saved before is kept.",
        ),
    ),
)
