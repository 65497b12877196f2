"""What ``matrix.yaml`` may contain, and its JSON Schema.

Each key is checked on its own here; ``read`` checks what must hold between keys. ``None``
means that a key is absent.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from runner.read import fields as f
from runner.read.problems import Keys
from runner.records import Value
from runner.records.study import Better, Reduction, Scale, Status

FORMAT = 1
"""The format of ``matrix.yaml`` that is read. 1: the first."""

SETTINGS = (
    *("expect", "timeout", "blocks", "parameters"),
    *("packages", "python", "variables", "limits"),
)
"""The keys of an include entry that are not axes."""

_Better = Annotated[Better, Field(strict=False)]
_Scale = Annotated[Scale, Field(strict=False)]
_Status = Annotated[Status, Field(strict=False)]
_Reduction = Annotated[Reduction, Field(strict=False)]


class _Section(BaseModel):
    # Only the document builds a validator when it is imported, which is a third faster.
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        defer_build=True,
        model_title_generator=lambda section: section.__name__.removesuffix("Section"),
    )


def _optional(description: str, default: object = None) -> Any:
    return Field(default=default, description=description)


def _shape(value: object) -> str | None:
    # In angle brackets, because pydantic puts the word between the keys of a path.
    if isinstance(value, list):
        return "<list>"
    if isinstance(value, dict):
        return "<names>"
    return "<text>" if isinstance(value, str) else None


def _either(what: str, of: Callable[[object], str | None] = _shape) -> Any:
    """Return what chooses between the tags of a union; ``what`` says what is expected."""
    return Discriminator(
        of,
        custom_error_type="expected",
        custom_error_message="{what}",
        custom_error_context={"what": what},
    )


def _empty_list() -> Any:
    # pydantic looks at the signature of a factory. That of `list` it parses as text, slowly.
    return []


def _no_keys() -> Any:
    return {}


_T = TypeVar("_T")
_List = Annotated[list[_T], Field(min_length=1)]
_Listed = Annotated[_List[_T], Tag("<list>")]
_Named = Annotated[dict[f.Label, _T], Field(min_length=1), Tag("<names>")]
Values = Annotated[_Listed[_T] | _Named[_T], _either("a list of values, or values with names")]
"""Values in a list, or with names for ids: ``{stock: tensorflow==2.9.1}``."""


class VersionsAxis(_Section):
    """An axis that changes the environment: versions of a package."""

    package: Annotated[
        list[f.Package],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(
            min_length=1,
            description="The package; if several are given, the first that has the version.",
        ),
        WithJsonSchema(
            {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
        ),
    ]
    versions: Annotated[
        _Listed[f.Version] | Annotated[f.Specifiers, Tag("<text>")],
        _either('a list of exact versions, or a range such as `">=1.4,<2.22"`'),
    ] = Field(description="Exact versions, quoted, or a range.")
    take: f.Take | None = _optional(
        "Which versions of a range: `all`, `latest-patch`, `latest-minor`, `every-3` or "
        "`oldest+latest`."
    )


class PackagesAxis(_Section):
    """An axis that changes the environment: packages with exact versions."""

    packages: Values[f.Pinned] = Field(
        description="Such as `intel-tensorflow==2.9.1`; in a list, or with names."
    )


class PythonAxis(_Section):
    """An axis that changes the environment: versions of Python."""

    python: _List[f.PythonName] = Field(description='Minor versions, quoted: "3.12".')


class BaseAxis(_Section):
    """An axis that changes the environment: what the images of environments are based on."""

    base: Values[f.Base] = Field(description="Names of images; in a list, or with names.")


class LockAxis(_Section):
    """An axis that changes the environment: lock files of the user."""

    lock: Values[f.Source] = Field(
        description="Paths of uv.lock, pylock.toml or requirements.txt, or `git:REVISION:PATH`."
    )


class ProjectAxis(_Section):
    """An axis that changes the environment: revisions of the project under test."""

    project: f.Folder = Field(description="The folder with pyproject.toml or setup.py.")
    at: Values[f.Revision] = Field(
        description="Tags, branches, commits, or `worktree` for the files as they are now."
    )


class ImageAxis(_Section):
    """An axis of container images, which run as they are."""

    image: Annotated[
        _Listed[f.Image] | _Named[f.Image] | Annotated[f.Images, Tag("<text>")],
        _either("a list of images, images with names, or a name with `{version}`"),
    ] = Field(description="Images; or a name with `{version}`, and `versions`.")
    versions: _List[f.ImageTag] | None = _optional("What replaces `{version}`, quoted.")


class DockerfileAxis(_Section):
    """An axis of the user's own Dockerfiles."""

    dockerfile: Values[f.Folder] = Field(description="Folders with a Dockerfile each.")


class VariableAxis(_Section):
    """An axis that sets an environment variable of the script."""

    variable: f.Variable = Field(description="The name of the environment variable.")
    values: Values[f.VariableValue] = Field(description="Its values; in a list, or with names.")


_KINDS: Mapping[str, type[BaseModel]] = {
    "package": VersionsAxis,
    "packages": PackagesAxis,
    "python": PythonAxis,
    "base": BaseAxis,
    "lock": LockAxis,
    "project": ProjectAxis,
    "image": ImageAxis,
    "dockerfile": DockerfileAxis,
    "variable": VariableAxis,
}


def _kind(value: object) -> str | None:
    if isinstance(value, list):
        return "<run>"
    keys = value if isinstance(value, dict) else ()
    return next((f"<{key}>" for key in _KINDS if key in keys), None)


RunAxis = Annotated[list[f.RunValue], Field(min_length=1)]
AnyAxis = Annotated[
    Annotated[VersionsAxis, Tag("<package>")]
    | Annotated[PackagesAxis, Tag("<packages>")]
    | Annotated[PythonAxis, Tag("<python>")]
    | Annotated[BaseAxis, Tag("<base>")]
    | Annotated[LockAxis, Tag("<lock>")]
    | Annotated[ProjectAxis, Tag("<project>")]
    | Annotated[ImageAxis, Tag("<image>")]
    | Annotated[DockerfileAxis, Tag("<dockerfile>")]
    | Annotated[VariableAxis, Tag("<variable>")]
    | Annotated[RunAxis, Tag("<run>")],
    _either(
        "a list of values, or the keys of a kind of axis: `package` and `versions`, `packages`, "
        "`python`, `base`, `lock`, `project` and `at`, `image`, `dockerfile`, or `variable` and "
        "`values`",
        _kind,
    ),
]


def _limit(name: str, default: object, description: str) -> Any:
    return Field(default, alias=name, description=description, validate_default=True)


class LimitsSection(_Section):
    """What one trial may use."""

    cpus: f.Count = _limit("cpus", 1, "Cores.")
    memory_bytes: f.Memory = _limit("memory", "4g", "Memory, without swap.")
    timeout_s: f.Duration = _limit("timeout", "15m", "Wall time.")
    pids: f.Processes = _limit("pids", 256, "Processes and threads.")
    temporary_bytes: f.Size = _limit("temporary", "256m", "Size of /tmp.")
    output_bytes: f.Size = _limit("output", "64m", "Size of /out.")
    files: f.Count = _limit("files", 16384, "Files and folders in each writable place.")
    log_bytes: f.Size = _limit("log", "1m", "Size of the log that is kept.")
    result_bytes: f.Size = _limit("result", "1m", "Size of a result.")


class IncludeSection(_Section):
    """Values of axes, and settings for every cell that has them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, f.AxisValue]

    expect: _Status | None = _optional("The status that these cells should end with.")
    timeout: f.Duration | None = _optional("Time limit of these cells, such as 60s.")
    blocks: f.Blocks | None = _optional("The number of blocks that contain these cells.")
    parameters: dict[f.Label, f.Parameter] | None = _optional(
        "Parameters to add or replace in these cells."
    )

    packages: list[f.Requirement] = _optional("Additional packages of these cells.", [])
    python: f.PythonOrRange | None = _optional('The version of Python, quoted: "3.7".')
    variables: dict[f.Variable, f.VariableValue] = _optional(
        "Environment variables to add or replace in these cells.", {}
    )
    limits: LimitsSection | None = _optional("Limits to replace in these cells.")

    def coordinates(self, axes: Collection[str]) -> Mapping[str, Value]:
        """Return the values of axes; all other keys are settings, unless an axis has the name."""
        own = {"python": self.python} if self.python is not None and "python" in axes else {}
        return {**self.__pydantic_extra__, **own}


class IndexSection(_Section):
    """Package indexes, besides or instead of the user's own."""

    default: f.IndexUrl | None = _optional("The index that is searched last, instead of the usual.")
    extra: list[f.IndexUrl] = _optional("Indexes that are searched first.", [])
    wheels: f.Source | None = _optional("A folder of wheels, from the folder of this file.")


class EnvironmentSection(_Section):
    """How environments are resolved and what they are based on."""

    python: f.Python = _optional('`auto` or a minor version, quoted: "3.7".', "auto")
    as_of: f.AsOf = _optional("`release`, `today` or a date: 2019-10-15.", "release")
    base: f.Base = _optional("`auto`, `pull`, `host` or the name of an image.", "auto")
    packages: list[f.Requirement] = _optional("Additional packages.", [])
    requirements: f.FilePath | None = _optional("A file with additional packages, one per line.")
    constraints: f.FilePath | None = _optional(
        "A file that limits the versions of packages, wherever they are needed."
    )
    index: IndexSection | None = _optional("Package indexes; credentials stay outside.")
    variables: dict[f.Variable, f.VariableValue] = _optional(
        "Environment variables of the script.", {}
    )
    compile: bool = _optional("Whether source packages may use a compiler.", False)
    source_packages: f.SourcePackages = _optional(
        "`build` packages that have no wheel, or `refuse` to.", "build"
    )


class ExperimentSection(_Section):
    """What a trial runs, and the files that it reads. Paths start at the folder of this file."""

    script: f.FilePath | None = _optional("Path of the script.")
    args: list[f.Argument] = _optional(
        "Arguments of the script; `{epochs}` stands for the parameter.", []
    )
    command: Annotated[list[f.Argument], Field(min_length=1)] | None = _optional(
        "What to run instead of a script: [python, -m, pytest, bench]. There is no shell."
    )
    files: list[f.Text] = _optional(
        "Other files to include, such as `src/**` or `configs/*.yaml`; `!` leaves files out.", []
    )
    data: list[f.FilePath] = _optional("Paths of data files.", [])


class ResultSource(_Section):
    """A name in the result that the script writes."""

    result: f.Text = Field(description="The name of a value or a series.")


class StdoutSource(_Section):
    """Numbers that the script prints."""

    stdout: f.Regex = Field(description="A regular expression; its group is the number.")
    series: bool = _optional("Whether every match counts, and not only the last one.", False)


class JsonSource(_Section):
    """A number in a JSON file that the script writes."""

    file: f.OutputPath = Field(alias="json", description="Path in the working folder.")
    at: f.JsonKeys = Field(
        description="The keys that lead to the number: eval.accuracy, or [eval, accuracy]."
    )
    series: bool = _optional("Whether a list of numbers is there.", False)


class CsvSource(_Section):
    """A column of a CSV file that the script writes."""

    file: f.OutputPath = Field(alias="csv", description="Path in the working folder.")
    column: f.Text = Field(description="The name of the column.")
    series: bool = _optional("Whether every row counts, and not only the last one.", False)


class BenchmarkSource(_Section):
    """A benchmark in the file that pytest-benchmark writes."""

    file: f.OutputPath = Field(alias="pytest-benchmark", description="Path in the working folder.")
    name: f.Text = Field(description="The name of the benchmark: test_fit.")


_SOURCES: Mapping[str, type[BaseModel]] = {
    "result": ResultSource,
    "stdout": StdoutSource,
    "json": JsonSource,
    "csv": CsvSource,
    "pytest-benchmark": BenchmarkSource,
}
MEASURED = ("wall_time", "cpu_time", "peak_memory")
"""The metrics that the launcher measures."""


def _source(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>" if value in {*MEASURED, "result"} else None
    keys = value if isinstance(value, dict) else ()
    return next((f"<{key}>" for key in _SOURCES if key in keys), None)


AnySource = Annotated[
    Annotated[Literal["result", "wall_time", "cpu_time", "peak_memory"], Tag("<text>")]
    | Annotated[ResultSource, Tag("<result>")]
    | Annotated[StdoutSource, Tag("<stdout>")]
    | Annotated[JsonSource, Tag("<json>")]
    | Annotated[CsvSource, Tag("<csv>")]
    | Annotated[BenchmarkSource, Tag("<pytest-benchmark>")],
    _either(
        "`wall_time`, `cpu_time`, `peak_memory`, or one of the keys `stdout`, `json`, `csv`, "
        "`pytest-benchmark` and `result`",
        _source,
    ),
]


class MetricSection(_Section):
    """A number that the script reports, or that is measured from outside."""

    source: AnySource = Field(
        default="result",
        alias="from",
        description="Where the number comes from. Default: the result that the script writes.",
    )
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = _optional(
        "How many first entries of a series do not count. Default: 2 for the median and the mean, "
        "else 0."
    )
    reduce: _Reduction | None = _optional(
        "How a series becomes one number: `median` (the default), `mean`, `first`, `last`, `best`."
    )
    unit: Annotated[str, Field(max_length=20)] | None = _optional(
        "Unit; none for a plain number. Default: what is measured from outside is in s or MB."
    )
    better: _Better | None = _optional(
        "The direction in which the metric improves. Default: what is measured from outside is "
        "better if it is lower."
    )
    title: f.Text | None = _optional("Name in reports. Default: the name of the metric.")
    scale: _Scale | None = _optional(
        "How two cells are compared: `ratio` within blocks, or `difference` over seeds. "
        "Default: `difference` for the unit %, else `ratio`."
    )
    margin: f.Change | None = _optional(
        "The largest change that counts as negligible: 3% on the scale `ratio`, "
        "0.2 (in the unit) on the scale `difference`."
    )
    cpu_time: str | None = _optional(
        "The metric with the CPU time of the same work. A busy host is judged by it."
    )
    paired: bool = _optional(
        "Whether differences are formed within blocks, whose cells share the seed.", True
    )
    timed: bool | None = _optional(
        "Whether a slower machine gives other numbers. Default: the unit decides; a metric that "
        "is compared by ratios and has no known unit counts as timed."
    )


def _measured_metrics() -> dict[str, MetricSection]:
    """Return the metrics of a study that names none."""
    cpu_time = {"wall_time": {"cpu_time": "cpu_time"}}
    return {
        name: MetricSection.model_validate({"from": name, **cpu_time.get(name, {})})
        for name in MEASURED
    }


class CompareSection(_Section):
    """Cells to compare, named before the run."""

    of: f.AxisValues = Field(description="The cells that are compared, by some axes.")
    against: f.AxisValues = Field(description="What changes, on the same axes.")
    metrics: Annotated[list[str], Field(min_length=1)] | None = _optional(
        "The metrics to compare. Default: those of the policy, else the first."
    )


class PublishedCell(_Section):
    """The published numbers of one cell."""

    cell: f.AxisValues
    values: Annotated[dict[str, float], Field(min_length=1)] | None = _optional("Number by metric.")
    note: f.Text | None = _optional("What the publication says instead of a number.")


class PublishedSection(_Section):
    """Published numbers, to show beside the measured ones."""

    source: f.Text = Field(description="Where the numbers were published.")
    cells: list[PublishedCell] = []


class ClaimSection(_Section):
    """A published statement: a comparison of two cells, or the status of one."""

    id: f.Name
    text: f.Text
    of: f.AxisValues = Field(description="The cell that the statement is about.")
    against: f.AxisValues | None = _optional("The cell it is compared with.")
    metric: str | None = None
    says: _Better | None = _optional("The direction in which the metric differs.")
    published: Annotated[list[float], Field(min_length=2, max_length=2)] | None = _optional(
        "The two published numbers: of, against."
    )
    status: _Status | None = _optional("The status that the cell is claimed to end with.")


class Document(_Section):
    """A study: which versions are compared, by which experiment, and how."""

    format: int = Field(json_schema_extra={"const": FORMAT})
    name: f.Name = Field(description="A short name; runs are named after it.")
    title: f.Text | None = _optional("The headline of reports.")
    axes: dict[f.Label, AnyAxis] = Field(
        min_length=1, description="What varies. The first axis varies slowest."
    )
    exclude: list[f.AxisValues] = Field(
        default_factory=_empty_list,
        description="Combinations to leave out; each entry names some of the axes.",
    )
    include: list[IncludeSection] = Field(
        default_factory=_empty_list,
        description="Settings for some cells, or additional cells. Applied after `exclude`.",
    )
    environment: EnvironmentSection = Field(default_factory=_no_keys, validate_default=True)
    experiment: ExperimentSection
    parameters: dict[f.Label, f.Parameter] = Field(
        default_factory=_no_keys,
        description="Parameters of the script, in addition to the values of run axes.",
    )
    quick: dict[f.Label, f.Parameter] | None = _optional("Parameters that --quick replaces.")
    metrics: dict[f.Label, MetricSection] = Field(
        min_length=1,
        default_factory=_measured_metrics,
        description="What is compared. Default: wall time, CPU time and peak memory of the script.",
    )
    baseline: f.AxisValues | None = _optional("What the other cells are compared with.")
    compare: Annotated[list[CompareSection], Field(min_length=1)] | None = _optional(
        "Comparisons named before the run. Default: each value of the first axis against the "
        "baseline."
    )
    blocks: f.Blocks = _optional("How often each cell runs.", 7)
    looks: Annotated[int, Field(ge=1, le=4)] = _optional(
        "How often you may look at the verdicts: after `blocks` blocks, after twice as "
        "many, and so on. With 1, intervals are narrower and no blocks can be added.",
        4,
    )
    repeats: Annotated[int, Field(ge=0, le=2)] = _optional(
        "How often a trial that the machine disturbed is repeated, at the end of its block.", 2
    )
    parallel: f.Parallel | None = _optional(
        "How many trials of a block run side by side, each on cores of its own, or `auto`. "
        "Default: 1 if a metric is a time or depends on speed, otherwise `auto`."
    )
    matched: bool = _optional(
        "Whether every cell gets the same initial weights and order of samples.", False
    )
    limits: LimitsSection = Field(default_factory=_no_keys, validate_default=True)
    policy: dict[str, f.Change] = Field(
        default_factory=_no_keys, description="The worst acceptable change by metric: +3% or -0.2."
    )
    published: PublishedSection | None = None
    claims: list[ClaimSection] = Field(default_factory=_empty_list)


_SECTIONS: dict[str | int, type[BaseModel]] = {
    "environment": EnvironmentSection,
    "experiment": ExperimentSection,
    "metrics": MetricSection,
    "limits": LimitsSection,
    "published": PublishedSection,
    "claims": ClaimSection,
    "compare": CompareSection,
}


def keys_at(path: Keys, around: object) -> list[str]:
    """Return the keys that are known where a path ends in an unknown one.

    ``around`` is the mapping that has the unknown key.
    """
    if path[0] == "axes" and isinstance(around, dict):
        section: type[BaseModel] = next(axis for key, axis in _KINDS.items() if key in around)
    elif path[:2] == ("published", "cells"):
        section = PublishedCell
    elif path[:2] == ("environment", "index"):
        section = IndexSection
    elif path[0] == "metrics" and len(path) > 3 and isinstance(around, dict):  # noqa: PLR2004
        section = next(one for key, one in _SOURCES.items() if key in around)
    elif path[0] == "include":
        section = LimitsSection
    else:
        section = Document if len(path) == 1 else _SECTIONS[path[0]]
    return [field.alias or name for name, field in section.model_fields.items()]


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of ``matrix.yaml``."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Document.model_json_schema(schema_generator=_WithoutNull),
    }


class _WithoutNull(GenerateJsonSchema):
    """Leaves out ``null``, which nobody may write."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ()) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's name
        return False  # the key is title enough
