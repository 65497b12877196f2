"""Mistakes in matrix.yaml as a whole."""

from tests.messages.message import Message, Section
from tests.messages.world import small, whole

MATRIX = Section(
    title="matrix.yaml",
    messages=(
        Message(
            line="plan",
            given=small('baseline: {lib: "1.0", size: 2}\nexclude: [{lib: "1.0", size: 2}]'),
            place="matrix.yaml:10:11: baseline",
            says="matrix.yaml:10:11: baseline: no cell has these values together; change one",
        ),
        Message(
            line="plan",
            given=small('compare: [{of: {lib: "2.0"}, against: {lib: "2.0"}}]'),
            place="matrix.yaml:10:11: compare[0]",
            says="matrix.yaml:10:11: compare[0]: no two cells match this comparison; change a value",
        ),
        Message(
            line="plan",
            given=small("baseline: {lib: 1.0}"),
            place="matrix.yaml:10:17: baseline.lib",
            says='matrix.yaml:10:17: baseline.lib: 1.0 is a YAML float; quote it: "1.0"',
        ),
        Message(
            line="plan",
            given=small("policy: {seconds: -100%}"),
            place="matrix.yaml:10:19: policy.seconds",
            says="matrix.yaml:10:19: policy.seconds: nothing falls by 100% or more; write a smaller percentage",
        ),
        Message(
            line="plan",
            given=small(
                'claims: [{id: a, text: x, of: {lib: "1.0", size: 1}, status: ok, metric: seconds}]'
            ),
            place="matrix.yaml:10:10: claims[0]",
            says="matrix.yaml:10:10: claims[0]: a claim is either a comparison or a `status`; remove the other keys",
        ),
        Message(
            line="plan",
            given=small(
                'claims: [{id: a, text: x, of: {lib: "1.0", size: 1}, status: ok}, {id: a, text: x, of: {lib: "2.0", size: 1}, status: ok}]'
            ),
            place="matrix.yaml:10:72: claims[1].id",
            says='matrix.yaml:10:72: claims[1].id: "a" is already at claims[0].id; change or remove one',
        ),
        Message(
            line="plan",
            given=small("blocks: 999999999"),
            place="matrix.yaml:10:9: blocks",
            says="matrix.yaml:10:9: blocks: expected at most 10000, found 999999999",
        ),
        Message(
            line="plan",
            given=small('title: "' + "x" * 1001 + '"'),
            place="matrix.yaml:10:8: title",
            says="matrix.yaml:10:8: title: longer than 1000 characters; shorten it",
        ),
        Message(
            line="plan",
            given=small("looks: 9"),
            place="matrix.yaml:10:8: looks",
            says="matrix.yaml:10:8: looks: expected at most 4, found 9",
        ),
        Message(
            line="plan",
            given=small("blokcs: 3"),
            place="matrix.yaml:10:1: blokcs",
            says="matrix.yaml:10:1: blokcs: unknown key; did you mean `blocks`?",
        ),
        Message(
            line="plan",
            given=small("limits: {cpu: 3}"),
            place="matrix.yaml:10:10: limits.cpu",
            says="matrix.yaml:10:10: limits.cpu: unknown key; did you mean `cpus`?",
        ),
        Message(
            line="plan",
            given=small('blocks: "x"'),
            place="matrix.yaml:10:9: blocks",
            says='matrix.yaml:10:9: blocks: expected a whole number, found "x"',
        ),
        Message(
            line="plan",
            given=small("limits: [1]"),
            place="matrix.yaml:10:9: limits",
            says="matrix.yaml:10:9: limits: expected keys with values, found a list",
        ),
        Message(
            line="plan",
            given=small("parallel: 0"),
            place="matrix.yaml:10:11: parallel",
            says="matrix.yaml:10:11: parallel: expected a whole number from 1 to 1024, or `auto`, found 0",
        ),
        Message(
            line="plan",
            given=small("blocks: 0"),
            place="matrix.yaml:10:9: blocks",
            says="matrix.yaml:10:9: blocks: expected at least 1, found 0",
        ),
        Message(
            line="plan",
            given=small("limits: {cpus: 0}"),
            place="matrix.yaml:10:16: limits.cpus",
            says="matrix.yaml:10:16: limits.cpus: expected at least 1, found 0",
        ),
        Message(
            line="plan",
            given=small("limits: {timeout: 15min}"),
            place="matrix.yaml:10:19: limits.timeout",
            says='matrix.yaml:10:19: limits.timeout: expected a duration such as 60s, 15m or 2h, found "15min"',
        ),
        Message(
            line="plan",
            given=small("limits: {memory: 4 GB}"),
            place="matrix.yaml:10:18: limits.memory",
            says='matrix.yaml:10:18: limits.memory: expected a size such as 256m or 4g, found "4 GB"',
        ),
        Message(
            line="plan",
            given=small("limits: {timeout: 999999999h}"),
            place="matrix.yaml:10:19: limits.timeout",
            says='matrix.yaml:10:19: limits.timeout: expected at most 30 days, found "999999999h"',
        ),
        Message(
            line="plan",
            given=small("limits: {memory: 1k}"),
            place="matrix.yaml:10:18: limits.memory",
            says='matrix.yaml:10:18: limits.memory: expected at least 64m, because a smaller container cannot start Python, found "1k"',
        ),
        Message(
            line="plan",
            given=small("limits: {pids: 1}"),
            place="matrix.yaml:10:16: limits.pids",
            says="matrix.yaml:10:16: limits.pids: expected at least 16, found 1",
        ),
        Message(
            line="plan",
            given=small("policy: {seconds: +x%}"),
            place="matrix.yaml:10:19: policy.seconds",
            says='matrix.yaml:10:19: policy.seconds: expected a change such as +3% or -0.2, found "+x%"',
        ),
        Message(
            line="plan",
            given=small("policy: {loss_at_end: 1}"),
            place="matrix.yaml:10:23: policy.loss_at_end",
            says="matrix.yaml:10:23: policy.loss_at_end: this metric has no better direction, so it cannot get worse; remove the limit",
        ),
        Message(
            line="plan",
            given=small("policy: {second: 3}"),
            place="matrix.yaml:10:10: policy.second",
            says="matrix.yaml:10:10: policy.second: unknown metric; did you mean `seconds`?",
        ),
        Message(
            line="plan",
            given=small("name: x"),
            place="matrix.yaml:10:1: name",
            says="matrix.yaml:10:1: name: this key is already on line 2; keep one",
        ),
        Message(
            line="plan",
            given=small("limits: {cpus: 1, cpus: 2}"),
            place="matrix.yaml:10:19: limits.cpus",
            says="matrix.yaml:10:19: limits.cpus: this key is already on line 10; keep one",
        ),
        Message(
            line="plan",
            given=small("title:"),
            place="matrix.yaml:10:7: title",
            says="matrix.yaml:10:7: title: there is no value; write one, or remove the key",
        ),
        Message(
            line="plan",
            given=small("limit:"),
            place="matrix.yaml:10:1: limit",
            says="matrix.yaml:10:1: limit: unknown key; did you mean `limits`?\nmatrix.yaml:10:7: limit: there is no value; write one, or remove the key",
        ),
        Message(
            line="plan",
            given=small("1: x"),
            place="matrix.yaml:10:1",
            says='matrix.yaml:10:1: a key must be text; quote it: "1"',
        ),
        Message(
            line="plan",
            given=small("? [a]\n: b"),
            place="matrix.yaml:10:3",
            says="matrix.yaml:10:3: a key must be text; write `key: value`",
        ),
        Message(
            line="plan",
            given=small("limits: {<<: {cpus: 1}}"),
            place="matrix.yaml:10:10: limits",
            says="matrix.yaml:10:10: limits: merge keys (`<<`) are not supported; write out the entries, or use an alias for all of them",
        ),
        Message(
            line="plan",
            given=small("title: !!python/object:os.system x"),
            place="matrix.yaml:10:8: title",
            says='matrix.yaml:10:8: title: the tag "!!python/object:os.system" is not supported; remove it',
        ),
        Message(
            line="plan",
            given=small("blocks: 010"),
            place="matrix.yaml:10:9: blocks",
            says='matrix.yaml:10:9: blocks: write the number in plain decimal digits, or quote it: "010"',
        ),
        Message(
            line="plan",
            given=small("limits: {timeout: 1:30}"),
            place="matrix.yaml:10:19: limits.timeout",
            says='matrix.yaml:10:19: limits.timeout: write the number in plain decimal digits, or quote it: "1:30"',
        ),
        Message(
            line="plan",
            given=small("parameters: {a: .inf}"),
            place="matrix.yaml:10:17: parameters.a",
            says='matrix.yaml:10:17: parameters.a: ".inf" is not a finite number; write another one',
        ),
        Message(
            line="plan",
            given=small("parameters: {size: 1}"),
            place="matrix.yaml:10:14: parameters.size",
            says="matrix.yaml:10:14: parameters.size: this is also an axis, which sets the parameter; remove one of the two",
        ),
        Message(
            line="plan",
            given=small("parameters: {epochs: 1}\nquick: {epoch: 1}"),
            place="matrix.yaml:11:9: quick.epoch",
            says="matrix.yaml:11:9: quick.epoch: unknown parameter; did you mean `epochs`?",
        ),
        Message(
            line="plan",
            given=small('baseline: {lib: "1.1"}'),
            place="matrix.yaml:10:17: baseline.lib",
            says='matrix.yaml:10:17: baseline.lib: no cell has the value "1.1"; did you mean `1.0`?',
        ),
        Message(
            line="plan",
            given=small("published: {source: x, cells: [{cell: {lib: '1.0', size: 1}}]}"),
            place="matrix.yaml:10:32: published.cells[0]",
            says="matrix.yaml:10:32: published.cells[0]: nothing is published here; give `values` or a `note`",
        ),
        Message(
            line="plan",
            given=small("published: {source: x, cells: [{cell: {lib: '1.0', size: 3}, note: x}]}"),
            place="matrix.yaml:10:58: published.cells[0].cell.size",
            says='matrix.yaml:10:58: published.cells[0].cell.size: no cell has the value "3"; expected 1 or 2',
        ),
        Message(
            line="plan",
            given=small("claims: [{id: a, text: x, of: {size: 1}, status: ok}]"),
            place="matrix.yaml:10:31: claims[0].of",
            says="matrix.yaml:10:31: claims[0].of: this must name a single cell; give a value for `lib` too",
        ),
        Message(
            line="plan",
            given=small(
                "exclude: [{lib: '1.0', size: 1}]\nclaims: [{id: a, text: x, of: {lib: '1.0', size: 1}, status: ok}]"
            ),
            place="matrix.yaml:11:31: claims[0].of",
            says="matrix.yaml:11:31: claims[0].of: there is no cell lib=1.0,size=1; it is excluded, or not included: name another",
        ),
        Message(
            line="plan",
            given=small("claims: [{id: a, text: x, of: {lib: '1.0', size: 1}, metric: seconds}]"),
            place="matrix.yaml:10:10: claims[0]",
            says="matrix.yaml:10:10: claims[0]: a comparison also needs `against` and `says`; add them, or give `status`",
        ),
        Message(
            line="plan",
            given=small(
                "claims: [{id: a, text: x, of: &c {lib: '1.0', size: 1}, against: *c, metric: seconds, says: lower}]"
            ),
            place="matrix.yaml:10:31: claims[0].against",
            says="matrix.yaml:10:31: claims[0].against: a cell cannot be compared with itself; name another one",
        ),
        Message(
            line="plan",
            given=small("claims: [{id: a, of: {lib: '1.0', size: 1}, status: ok}]"),
            place="matrix.yaml:10:10: claims[0].text",
            says="matrix.yaml:10:10: claims[0].text: the key is missing; add it",
        ),
        Message(
            line="plan",
            given=small('title: "a\\ab"'),
            place="matrix.yaml:10:8: title",
            says='matrix.yaml:10:8: title: the character "\\u0007" is not allowed; remove it',
        ),
        Message(
            line="plan",
            given=whole(b""),
            place="matrix.yaml",
            says="matrix.yaml: the file is empty; begin it with `format: 1`",
        ),
        Message(
            line="plan",
            given=whole(b"- a"),
            place="matrix.yaml:1:1",
            says="matrix.yaml:1:1: expected keys with values, found a list; begin with `format: 1`",
        ),
        Message(
            line="plan",
            given=whole(b"!x {a: 1}"),
            place="matrix.yaml:1:1",
            says='matrix.yaml:1:1: the tag "!x" is not supported; remove it',
        ),
        Message(
            line="plan",
            given=whole(b"a: 1\nb: \xff"),
            place="matrix.yaml:2:4",
            says="matrix.yaml:2:4: from here on, this is not UTF-8; save it as UTF-8",
        ),
        Message(
            line="plan",
            given=whole(b"a: 1\nb: \x00"),
            place="matrix.yaml:2:4",
            says='matrix.yaml:2:4: the character "\\u0000" is not allowed in YAML; remove it',
        ),
        Message(
            line="plan",
            given=whole(b"a:\n\t- b"),
            place="matrix.yaml:2:1",
            says="matrix.yaml:2:1: YAML does not allow a tab here; use spaces",
        ),
        Message(
            line="plan",
            given=whole(b"a: [1\nb: 2\n"),
            place="matrix.yaml:2:2",
            says="matrix.yaml:2:2: this is not YAML: did not find expected ',' or ']', while parsing a flow sequence that begins on line 1; correct it",
        ),
        Message(
            line="plan",
            given=whole(b"a: b: c"),
            place="matrix.yaml:1:5",
            says="matrix.yaml:1:5: this is not YAML: mapping values are not allowed in this context; quote text that contains a colon and a space",
        ),
        Message(
            line="plan",
            given=whole(b"a: 1\n---\na: 2"),
            place="matrix.yaml:2:1",
            says="matrix.yaml:2:1: this is not YAML: but found another document, expected a single document in the stream that begins on line 1; keep one document in the file",
        ),
        Message(
            line="plan",
            given=whole(b"a: &a [*a]"),
            place="matrix.yaml:1:4",
            says="matrix.yaml:1:4: the aliases expand to too many values; write the values",
        ),
        Message(
            line="plan",
            given=whole(b"#" * 1024**2 + b"\n"),
            place="matrix.yaml",
            says="matrix.yaml: the file is larger than the limit of 1 MiB; split the study",
        ),
        Message(
            line="plan",
            given=whole("[" * 100),
            place="matrix.yaml:1:33",
            says="matrix.yaml:1:33: nested more than 32 levels deep; use fewer levels",
        ),
        Message(
            line="plan",
            given=whole("[" + "a," * 200_000 + "]"),
            place="matrix.yaml:1:200000",
            says="matrix.yaml:1:200000: more than 100,000 values; split the study",
        ),
        Message(
            line="plan",
            given=whole("format: 2"),
            place="matrix.yaml:1:9",
            says="matrix.yaml:1:9: format 2 was written for a newer matrix-runner (this one reads format 1): upgrade matrix-runner",
        ),
        Message(
            line="plan",
            given=whole("format: 0"),
            place="matrix.yaml:1:9",
            says="matrix.yaml:1:9: there is no format 0; write `format: 1`",
        ),
    ),
)
