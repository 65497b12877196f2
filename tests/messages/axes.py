"""Mistakes in axes, cells and environments."""

from tests.messages.message import Message, Section
from tests.messages.world import after, axis, files, small

AXES = Section(
    title="Axes, cells and environments in matrix.yaml",
    messages=(
        Message(
            line="plan",
            given=small('exclude: [{lib: ">9"}]'),
            place="matrix.yaml:10:17: exclude[0].lib",
            says='matrix.yaml:10:17: exclude[0].lib: no version of this axis is ">9"; change the range',
        ),
        Message(
            line="plan",
            given=small('include: [{lib: ">9", expect: failed}]'),
            place="matrix.yaml:10:17: include[0].lib",
            says='matrix.yaml:10:17: include[0].lib: no version of this axis is ">9"; change the range',
        ),
        Message(
            line="plan",
            given=small("include: [{sise: 1, expect: failed}]"),
            place="matrix.yaml:10:12: include[0].sise",
            says="matrix.yaml:10:12: include[0].sise: unknown axis or setting; did you mean `size`?",
        ),
        Message(
            line="plan",
            given=small("include: [{size: 9, expect: failed, timeout: 1s}]"),
            place="matrix.yaml:10:11: include[0]",
            says="matrix.yaml:10:11: include[0]: no combination has these values, so this adds a cell; give a value for `lib` too",
        ),
        Message(
            line="plan",
            given=small("environment: {requirements: gone.txt}"),
            place="matrix.yaml:10:29: environment.requirements",
            says='matrix.yaml:10:29: environment.requirements: "gone.txt" does not exist beside this file; check the path',
        ),
        Message(
            line="plan",
            given=after(
                small("environment: {requirements: list.txt}"), files({"list.txt": "numpy\n-e .\n"})
            ),
            place="matrix.yaml:10:29: environment.requirements",
            says='matrix.yaml:10:29: environment.requirements: line 2 of list.txt: expected a package such as `numpy` or `numpy<2`, found "-e ."',
        ),
        Message(
            line="plan",
            given=after(
                small("environment: {requirements: list.txt}"), files({"list.txt": b"\xff"})
            ),
            place="matrix.yaml:10:29: environment.requirements",
            says="matrix.yaml:10:29: environment.requirements: list.txt cannot be read: it is not UTF-8; correct the file",
        ),
        Message(
            line="plan",
            given=small("environment: {index: {wheels: gone}}"),
            place="matrix.yaml:10:31: environment.index.wheels",
            says='matrix.yaml:10:31: environment.index.wheels: "gone" is no folder in the folder of this file; check the path',
        ),
        Message(
            line="plan",
            given=small('environment: {index: {default: "https://me:secret@host/simple"}}'),
            place="matrix.yaml:10:32: environment.index.default",
            says='matrix.yaml:10:32: environment.index.default: expected the address of a package index without credentials, such as https://host/simple, found "https://host/simple"',
        ),
        Message(
            line="plan",
            given=small('environment: {variables: {A: "' + "x" * 10001 + '"}}'),
            place="matrix.yaml:10:30: environment.variables.A",
            says='matrix.yaml:10:30: environment.variables.A: expected at most 10,000 characters, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"',
        ),
        Message(
            line="plan",
            given=small('environment: {python: "2.7"}'),
            place="matrix.yaml:10:23: environment.python",
            says='matrix.yaml:10:23: environment.python: expected `auto` or a version such as "3.7", "3.12.4", "3.13t" or "pypy3.10", found "2.7"',
        ),
        Message(
            line="plan",
            given=small('environment: {python: ["3.10", "3.12"]}'),
            place="matrix.yaml:10:23: environment.python",
            says="matrix.yaml:10:23: environment.python: expected one version; an axis `python: {python: [...]}` compares several, found a list",
        ),
        Message(
            line="plan",
            given=small('environment: {base: "-x"}'),
            place="matrix.yaml:10:21: environment.base",
            says='matrix.yaml:10:21: environment.base: expected `auto`, `pull`, `host` or the name of an image, found "-x"',
        ),
        Message(
            line="plan",
            given=small("", ("  size: [1, 2]", "  timeout: [1, 2]")),
            place="matrix.yaml:5:3: axes.timeout",
            says="matrix.yaml:5:3: axes.timeout: `timeout` is a setting of `include` entries; rename the axis",
        ),
        Message(
            line="plan",
            given=small("", ("  size: [1, 2]", '  p: {python: ["3.10"]}\n  q: {python: ["3.11"]}')),
            place="matrix.yaml:6:6: axes.q",
            says="matrix.yaml:6:6: axes.q: only one axis can be of the kind `python`; merge them",
        ),
        Message(
            line="plan",
            given=small(
                "",
                (
                    "  size: [1, 2]",
                    "  p: {variable: A, values: [1]}\n  q: {variable: A, values: [2]}",
                ),
            ),
            place="matrix.yaml:6:17: axes.q.variable",
            says='matrix.yaml:6:17: axes.q.variable: "A" is already at axes.p.variable; change or remove one',
        ),
        Message(
            line="plan",
            given=small(
                'environment: {python: "3.11"}', ("  size: [1, 2]", '  python: {python: ["3.10"]}')
            ),
            place="matrix.yaml:10:15: environment.python",
            says="matrix.yaml:10:15: environment.python: the axis `python` chooses the Python; remove this",
        ),
        Message(
            line="plan",
            given=small(
                "environment: {variables: {A: 1}}",
                ("  size: [1, 2]", "  p: {variable: A, values: [1]}"),
            ),
            place="matrix.yaml:10:27: environment.variables.A",
            says="matrix.yaml:10:27: environment.variables.A: the axis `p` sets this variable; remove one of the two",
        ),
        Message(
            line="plan",
            given=axis("{image: python:3.11, versions: ['1']}"),
            place="matrix.yaml:4:17: axes.model.image",
            says='matrix.yaml:4:17: axes.model.image: expected the name of an image with `{version}`, and `versions`, found "python:3.11"',
        ),
        Message(
            line="plan",
            given=axis("{image: 'python:{version}'}"),
            place="matrix.yaml:4:9: axes.model.versions",
            says="matrix.yaml:4:9: axes.model.versions: `{version}` in `image` and the key `versions` need each other; add the missing one",
        ),
        Message(
            line="plan",
            given=small("environment: {compile: 1}"),
            place="matrix.yaml:10:24: environment.compile",
            says="matrix.yaml:10:24: environment.compile: expected true or false, found 1",
        ),
        Message(
            line="plan",
            given=small("environment: {zzz: 3}"),
            place="matrix.yaml:10:15: environment.zzz",
            says="matrix.yaml:10:15: environment.zzz: unknown key; expected python, as_of, base, packages, requirements, constraints, index, variables, compile or source_packages",
        ),
        Message(
            line="plan",
            given=small("environment: {compile: on}"),
            place="matrix.yaml:10:24: environment.compile",
            says='matrix.yaml:10:24: environment.compile: write true or false, or quote it: "on"',
        ),
        Message(
            line="plan",
            given=small("environment: {source_packages: never}"),
            place="matrix.yaml:10:32: environment.source_packages",
            says='matrix.yaml:10:32: environment.source_packages: expected `build` or `refuse`, found "never"',
        ),
        Message(
            line="plan",
            given=small("environment: {python: 3.10}"),
            place="matrix.yaml:10:23: environment.python",
            says='matrix.yaml:10:23: environment.python: 3.1 is a YAML float; quote it: "3.10"',
        ),
        Message(
            line="plan",
            given=small("environment: {as_of: 2019-02-30}"),
            place="matrix.yaml:10:22: environment.as_of",
            says='matrix.yaml:10:22: environment.as_of: expected a date that exists, found "2019-02-30"',
        ),
        Message(
            line="plan",
            given=small("environment: {packages: [--index-url=x]}"),
            place="matrix.yaml:10:26: environment.packages[0]",
            says='matrix.yaml:10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, found "--index-url=x"',
        ),
        Message(
            line="plan",
            given=small('environment: {packages: ["six @ https://a.invalid/six.whl"]}'),
            place="matrix.yaml:10:26: environment.packages[0]",
            says='matrix.yaml:10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, found "six @ https://a.invalid/six.whl"',
        ),
        Message(
            line="plan",
            given=small('environment: {packages: ["six==${TOKEN}"]}'),
            place="matrix.yaml:10:26: environment.packages[0]",
            says='matrix.yaml:10:26: environment.packages[0]: expected a package such as `numpy` or `numpy<2`, found "six==${TOKEN}"',
        ),
        Message(
            line="plan",
            given=small("include: [{size: 1, expect: faild}]"),
            place="matrix.yaml:10:29: include[0].expect",
            says='matrix.yaml:10:29: include[0].expect: expected ok, failed, bad-output, timed-out, out-of-memory, no-image, unsupported or engine-lost, found "faild"; did you mean `failed`?',
        ),
        Message(
            line="plan",
            given=small("include: [{size: 1, parameters: {size: 2}}]"),
            place="matrix.yaml:10:40: include[0].parameters.size",
            says="matrix.yaml:10:40: include[0].parameters.size: this is an axis; move it out of `parameters`",
        ),
        Message(
            line="plan",
            given=small("exclude: [{}]"),
            place="matrix.yaml:10:11: exclude[0]",
            says="matrix.yaml:10:11: exclude[0]: this is empty; write an entry, or remove the key",
        ),
        Message(
            line="plan",
            given=small('exclude: [{lob: "1.0"}]'),
            place="matrix.yaml:10:12: exclude[0].lob",
            says="matrix.yaml:10:12: exclude[0].lob: unknown axis; did you mean `lib`?",
        ),
        Message(
            line="plan",
            given=small('exclude: [{lib: "1.00"}]'),
            place="matrix.yaml:10:17: exclude[0].lib",
            says='matrix.yaml:10:17: exclude[0].lib: no cell has the value "1.00"; did you mean `1.0`?',
        ),
        Message(
            line="plan",
            given=small("exclude: [{size: 1}, {size: 2}]"),
            place="matrix.yaml:10:10: exclude",
            says="matrix.yaml:10:10: exclude: this leaves no cell; remove an entry",
        ),
        Message(
            line="plan",
            given=small("include: [{timeout: 1s}]"),
            place="matrix.yaml:10:11: include[0]",
            says="matrix.yaml:10:11: include[0]: this names no axis; give a value for one",
        ),
        Message(
            line="plan",
            given=small("include: [{size: 1, timout: 1}]"),
            place="matrix.yaml:10:21: include[0].timout",
            says="matrix.yaml:10:21: include[0].timout: unknown axis or setting; did you mean `timeout`?",
        ),
        Message(
            line="plan",
            given=small("include: [{size: 3, lib: 3}]"),
            place="matrix.yaml:10:26: include[0].lib",
            says='matrix.yaml:10:26: include[0].lib: expected an exact version such as "2.0.0", found 3',
        ),
        Message(
            line="plan",
            given=small('include: [{size: 3, lib: "1.0"}, {size: 3, lib: "1.0"}]'),
            place="matrix.yaml:10:34: include[1]",
            says="matrix.yaml:10:34: include[1]: the cell lib=1.0,size=3 is already included; merge the two entries",
        ),
        Message(
            line="plan",
            given=axis("[2020-01-01]"),
            place="matrix.yaml:4:10: axes.model[0]",
            says='matrix.yaml:4:10: axes.model[0]: 2020-01-01 is a YAML date; quote it: "2020-01-01"',
        ),
        Message(
            line="plan",
            given=axis("[null]"),
            place="matrix.yaml:4:10: axes.model[0]",
            says='matrix.yaml:4:10: axes.model[0]: this means that there is no value; remove it, or quote it: "null"',
        ),
        Message(
            line="plan",
            given=axis("[no]"),
            place="matrix.yaml:4:10: axes.model[0]",
            says='matrix.yaml:4:10: axes.model[0]: write true or false, or quote it: "no"',
        ),
        Message(
            line="plan",
            given=axis("[[a]]"),
            place="matrix.yaml:4:10: axes.model[0]",
            says="matrix.yaml:4:10: axes.model[0]: expected text, a number, true or false, found a list",
        ),
        Message(
            line="plan",
            given=axis("[a, a]"),
            place="matrix.yaml:4:13: axes.model[1]",
            says='matrix.yaml:4:13: axes.model[1]: "a" is already at axes.model[0]; change or remove one',
        ),
        Message(
            line="plan",
            given=axis('[1, "1"]'),
            place="matrix.yaml:4:13: axes.model[1]",
            says='matrix.yaml:4:13: axes.model[1]: "1" is already at axes.model[0]; change or remove one',
        ),
        Message(
            line="plan",
            given=axis("[]"),
            place="matrix.yaml:4:9: axes.model",
            says="matrix.yaml:4:9: axes.model: this is empty; write an entry, or remove the key",
        ),
        Message(
            line="plan",
            given=axis("x"),
            place="matrix.yaml:4:9: axes.model",
            says='matrix.yaml:4:9: axes.model: expected a list of values, or the keys of a kind of axis: `package` and `versions`, `packages`, `python`, `base`, `lock`, `project` and `at`, `image`, `dockerfile`, or `variable` and `values`, found "x"',
        ),
        Message(
            line="plan",
            given=axis("{pakage: a}"),
            place="matrix.yaml:4:9: axes.model",
            says="matrix.yaml:4:9: axes.model: expected a list of values, or the keys of a kind of axis: `package` and `versions`, `packages`, `python`, `base`, `lock`, `project` and `at`, `image`, `dockerfile`, or `variable` and `values`, found keys with values",
        ),
        Message(
            line="plan",
            given=axis("{package: a, versions: ['1'], tak: x}"),
            place="matrix.yaml:4:39: axes.model.tak",
            says="matrix.yaml:4:39: axes.model.tak: unknown key; did you mean `take`?",
        ),
        Message(
            line="plan",
            given=axis('{package: a, versions: "1.0"}'),
            place="matrix.yaml:4:32: axes.model.versions",
            says='matrix.yaml:4:32: axes.model.versions: expected a range of versions such as ">=1.4,<2.22", found "1.0"',
        ),
        Message(
            line="plan",
            given=axis('{package: a, versions: ["1"], take: all}'),
            place="matrix.yaml:4:39: axes.model.take",
            says="matrix.yaml:4:39: axes.model.take: `take` chooses from a range; remove it, or write a range of versions",
        ),
        Message(
            line="plan",
            given=axis('{package: a, versions: ">1", take: some}'),
            place="matrix.yaml:4:44: axes.model.take",
            says='matrix.yaml:4:44: axes.model.take: expected `all`, `latest-patch`, `latest-minor`, `every-3` or `oldest+latest`, found "some"',
        ),
        Message(
            line="plan",
            given=axis("{packages: [numpy]}"),
            place="matrix.yaml:4:21: axes.model.packages[0]",
            says='matrix.yaml:4:21: axes.model.packages[0]: expected a package with its exact version, such as pandas[performance]==2.0.3, found "numpy"',
        ),
        Message(
            line="plan",
            given=axis('{packages: ["numpy==1.*"]}'),
            place="matrix.yaml:4:21: axes.model.packages[0]",
            says='matrix.yaml:4:21: axes.model.packages[0]: expected a package with its exact version, such as pandas[performance]==2.0.3, found "numpy==1.*"',
        ),
        Message(
            line="plan",
            given=axis('{packages: ["pandas[a,b]==2.0"]}'),
            place="matrix.yaml:4:21: axes.model.packages[0]",
            says='matrix.yaml:4:21: axes.model.packages[0]: expected 1 to 150 visible characters without `,`, and no space at either end, found "pandas[a,b]==2.0"; give it a name: `{name: pandas[a,b]==2.0}`',
        ),
        Message(
            line="plan",
            given=axis("{python: [3.10]}"),
            place="matrix.yaml:4:19: axes.model.python[0]",
            says='matrix.yaml:4:19: axes.model.python[0]: 3.1 is a YAML float; quote it: "3.10"',
        ),
        Message(
            line="plan",
            given=axis('{python: ["3"]}'),
            place="matrix.yaml:4:19: axes.model.python[0]",
            says='matrix.yaml:4:19: axes.model.python[0]: expected a version of Python such as "3.7", "3.12.4", "3.13t" or "pypy3.10", found "3"',
        ),
        Message(
            line="plan",
            given=axis("{variable: 1A, values: [1]}"),
            place="matrix.yaml:4:20: axes.model.variable",
            says='matrix.yaml:4:20: axes.model.variable: expected the name of an environment variable, found "1A"',
        ),
        Message(
            line="plan",
            given=axis("{variable: DATA_DIR, values: [1]}"),
            place="matrix.yaml:4:20: axes.model.variable",
            says='matrix.yaml:4:20: axes.model.variable: expected another variable, because the runner sets this one, found "DATA_DIR"',
        ),
        Message(
            line="plan",
            given=axis("{variable: A, values: 1}"),
            place="matrix.yaml:4:31: axes.model.values",
            says="matrix.yaml:4:31: axes.model.values: expected a list of values, or values with names, found 1",
        ),
        Message(
            line="plan",
            given=axis("{variable: A, values: [1, '1']}"),
            place="matrix.yaml:4:35: axes.model.values[1]",
            says='matrix.yaml:4:35: axes.model.values[1]: "1" is already at axes.model.values[0]; change or remove one',
        ),
        Message(
            line="plan",
            given=axis("{package: a}"),
            place="matrix.yaml:4:9: axes.model.versions",
            says="matrix.yaml:4:9: axes.model.versions: the key is missing; add it",
        ),
        Message(
            line="plan",
            given=axis("{package: a, versions: [2.10]}"),
            place="matrix.yaml:4:33: axes.model.versions[0]",
            says='matrix.yaml:4:33: axes.model.versions[0]: 2.1 is a YAML float; quote it: "2.10"',
        ),
        Message(
            line="plan",
            given=axis("{package: a, versions: [3]}"),
            place="matrix.yaml:4:33: axes.model.versions[0]",
            says='matrix.yaml:4:33: axes.model.versions[0]: 3 is a YAML number; quote it: "3"',
        ),
        Message(
            line="plan",
            given=axis("{package: [-a], versions: ['3']}"),
            place="matrix.yaml:4:20: axes.model.package[0]",
            says='matrix.yaml:4:20: axes.model.package[0]: expected the name of a package, found "-a"',
        ),
        Message(
            line="plan",
            given=axis("{package: a, versions: [latest]}"),
            place="matrix.yaml:4:33: axes.model.versions[0]",
            says='matrix.yaml:4:33: axes.model.versions[0]: expected an exact version such as "2.0.0", found "latest"',
        ),
        Message(
            line="plan",
            given=small("", ("[1, 2]", "[" + "x" * 99 + "]\n  more: [" + "y" * 99 + "]")),
            place="matrix.yaml:4:3: axes",
            says='matrix.yaml:4:3: axes: the id "lib=1.0,size=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is longer than 200 bytes; shorten names or values',
        ),
        Message(
            line="plan",
            given=small(
                "",
                ("axes:\n", "axes:\n" + "".join(f"  a{n}: {list(range(100))}\n" for n in range(3))),
            ),
            place="matrix.yaml:4:3: axes",
            says="matrix.yaml:4:3: axes: these make 4,000,000 cells; the limit is 10,000; use fewer values",
        ),
        Message(
            line="plan",
            given=small("", ("size: [1, 2]", 'python: ["3.10", "3.12"]')),
            place="matrix.yaml:5:3: axes.python",
            says='matrix.yaml:5:3: axes.python: this list would only be a parameter; to compare versions of Python, write `python: {python: ["3.10", "3.12"]}`',
        ),
        Message(
            line="plan",
            given=small(
                'include: [{lib: "1.0", b: x}]', ("size: [1, 2]", 'b: {packages: ["a==1", "c==1"]}')
            ),
            place="matrix.yaml:10:27: include[0].b",
            says="matrix.yaml:10:27: include[0].b: unknown value; expected a==1 or c==1",
        ),
    ),
)
