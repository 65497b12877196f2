"""Cells and axes that do not exist."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, ran, small, study, unsupported

SELECTION = Section(
    title="Selecting cells",
    messages=(
        Message(
            line="list -s size",
            given=small(),
            place="'size'",
            says="selection 'size' is not of the form axis=value[,value...]; write one such as tensorflow=2.*",
        ),
        Message(
            line="list -s sise=1",
            given=small(),
            place="'sise=1'",
            says="selection 'sise=1': there is no axis 'sise'; did you mean `size`?",
        ),
        Message(
            line="list -s zzz=1",
            given=small(),
            place="'zzz=1'",
            says="selection 'zzz=1': there is no axis 'zzz'; the axes are lib, size",
        ),
        Message(
            line="list -s size=3",
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="size=3",
            says="size=3 selects no cell; size has 1, 2",
        ),
        Message(
            line="list -s lib=1.0 -s size=2",
            given=small('exclude: [{lib: "1.0", size: 2}]'),
            code=Exit.NOTHING_SELECTED,
            place="lib=1.0 size=2",
            says="no cell has all of lib=1.0 size=2; the cells are:\n  lib=1.0,size=1\n  lib=2.0,size=1\n  lib=2.0,size=2",
        ),
        Message(
            line="list -k 3.0",
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="-k",
            says='-k: "3.0" matches no cell; did you mean `2.0`?',
        ),
        Message(
            line='list -k "1.0 and 2.0 and 9"',
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="-k",
            says='-k: "9" matches no cell; `python -m runner list` prints the cells',
        ),
        Message(
            line='list -k "not 1 and not 2"',
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="-k",
            says='-k: no cell matches "not 1 and not 2"; the cells are:\n  lib=1.0,size=1\n  lib=1.0,size=2\n  lib=2.0,size=1\n  lib=2.0,size=2',
        ),
        Message(
            line='list -k "(1"',
            given=small(),
            place="-k, column 3",
            says="-k, column 3: expected `)`, found the end, for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line='list -k "1 2"',
            given=small(),
            place="-k, column 3",
            says="-k, column 3: expected `and` or `or`, found \"2\", for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line='list -k "and"',
            given=small(),
            place="-k, column 1",
            says="-k, column 1: expected a name, `not` or `(`, found \"and\", for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line='list -k "\'1"',
            given=small(),
            place="-k, column 1",
            says="-k, column 1: this quote is not closed; close it, for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line="list -k \"''\"",
            given=small(),
            place="-k, column 1",
            says="-k, column 1: the name in quotes is empty; write one, for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line='list -k ""',
            given=small(),
            place="-k, column 1",
            says="-k, column 1: expected a name, `not` or `(`, found the end, for example -k 'sequential and not 1.15*'.",
        ),
        Message(
            line="explain lib=1.0,size=3",
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="lib=1.0,size=3",
            says="there is no cell 'lib=1.0,size=3'; did you mean `lib=1.0,size=2`?\nthe cells are:\n  lib=1.0,size=1\n  lib=1.0,size=2\n  lib=2.0,size=1\n  lib=2.0,size=2",
        ),
        Message(
            line="explain xyz",
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="xyz",
            says="there is no cell 'xyz'\nthe cells are:\n  lib=1.0,size=1\n  lib=1.0,size=2\n  lib=2.0,size=1\n  lib=2.0,size=2",
        ),
        Message(
            line="export lib=1.0,size=1",
            given=small(),
            place="lib=1.0,size=1",
            says="lib=1.0,size=1 is not locked yet; run `python -m runner lock` first.",
        ),
        Message(
            line="export model=one",
            given=unsupported,
            place="model=one",
            says="model=one has no environment: it was never published. Choose another cell.",
        ),
        Message(
            line="shell model=one",
            given=unsupported,
            code=Exit.ENGINE,
            place="model=one",
            says="matrix.yaml: plain Python ...: unsupported: it was never published\nmodel=one has no environment: it was never published. Choose another cell.",
        ),
        Message(
            line="shell model=three",
            given=study(),
            code=Exit.NOTHING_SELECTED,
            place="model=three",
            says="there is no cell 'model=three'; did you mean `model=two`?\nthe cells are:\n  model=one\n  model=two",
        ),
        Message(
            line="run --lf",
            given=small(),
            code=Exit.NOTHING_SELECTED,
            place="--lf",
            says="--lf: reports contains no run of small yet; run it without --lf first.",
        ),
        Message(
            line="run --lf",
            given=after(study(), ran()),
            code=Exit.NOTHING_SELECTED,
            place="--lf",
            says="--lf: none of these cells ended unexpectedly when it last ran in reports; run without --lf.",
        ),
        Message(
            line='list -k "((((((((((((((((((((((((((((((((((((((((((((((((((((1"',
            given=small(),
            place="-k, column 52",
            says="-k, column 52: nested too deeply; use fewer parentheses and `not`, for example -k 'sequential and not 1.15*'.",
        ),
    ),
)
