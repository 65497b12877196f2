"""What ``matrix.yaml`` may hold, and the JSON Schema of it.

Each key is checked for itself here; what must hold between keys is checked by ``read``.
``None`` stands for a key that is absent, or wrong and already reported.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from runner.read import fields as n
from runner.records import Value
from runner.records.study import Better, Limits, Scale, Status

FORMAT = 1
"""The format of ``matrix.yaml`` that is read. 1: the first."""

SETTINGS = ("expect", "timeout", "blocks", "parameters")
"""The keys of an include entry that are not axes."""

_LIMITS = Limits()
_DirectionWord = Annotated[Better, Field(strict=False)]
_ScaleWord = Annotated[Scale, Field(strict=False)]
_StatusWord = Annotated[Status, Field(strict=False)]


class _Section(BaseModel):
    # Only the whole document is validated, so only it needs a validator: a third faster to import.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class BuildAxis(_Section):
    """An axis that changes the environment: versions of a package."""

    package: Annotated[
        list[n.Package],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(min_length=1, description="The package; of several, the first that has the version."),
        WithJsonSchema(
            {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
        ),
    ]
    versions: list[n.Version] = Field(min_length=1, description="Exact versions, quoted.")


def _kind(value: object) -> str | None:
    # In angle brackets, because pydantic puts the word between the keys of a path.
    if isinstance(value, list):
        return "<run>"
    return "<build>" if isinstance(value, dict) else None


RunAxis = Annotated[list[n.AxisValue], Field(min_length=1)]
AnyAxis = Annotated[
    Annotated[BuildAxis, Tag("<build>")] | Annotated[RunAxis, Tag("<run>")], Discriminator(_kind)
]


class Include(_Section):
    """Values of axes, and what is special in every cell that has them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, n.AxisValue]

    expect: _StatusWord | None = Field(
        default=None, description="The status these cells should end in."
    )
    timeout: n.Duration | None = Field(
        default=None, description="Time limit of these cells, such as 60s."
    )
    blocks: n.Count | None = Field(default=None, description="In how many blocks these cells are.")
    parameters: dict[n.Label, n.Parameter] | None = Field(
        default=None, description="Parameters that are added or replaced in these cells."
    )

    @property
    def coordinates(self) -> Mapping[str, Value]:
        """The values of axes, all other keys being settings."""
        return self.__pydantic_extra__


class Environment(_Section):
    """How environments are resolved and what they stand on."""

    python: n.Python = Field(
        default="auto", description='`auto` or a minor version, quoted: "3.7".'
    )
    as_of: n.AsOf = Field(
        default="release", description="`release`, `today` or a date: 2019-10-15."
    )
    base: n.Base = Field(
        default="auto", description="`auto`, `pull`, `host` or the name of an image."
    )
    packages: list[n.Requirement] = Field(default=[], description="Further packages.")
    compile: bool = Field(default=False, description="Whether source packages may use a compiler.")


class Experiment(_Section):
    """The script, and the files it reads."""

    script: n.Text = Field(description="Path of the script, from the folder of this file.")
    data: list[n.Text] = Field(
        default=[], description="Paths of data files, from the folder of this file."
    )


class Metric(_Section):
    """A number that the script promises."""

    unit: str = Field(default="", max_length=20, description="Unit; empty for a plain number.")
    better: _DirectionWord = Field(description="The direction in which the metric improves.")
    title: n.Text | None = Field(
        default=None, description="Name in reports; else the metric's own."
    )
    scale: _ScaleWord | None = Field(
        default=None,
        description="How two cells are compared: `ratio` within blocks, or `difference` over "
        "seeds. Default: `difference` for the unit %, else `ratio`.",
    )
    margin: n.Change | None = Field(
        default=None,
        description="The largest change that is called negligible: 3% on the scale of ratios, "
        "0.2 (in the unit) on that of differences.",
    )
    cpu_time: str | None = Field(
        default=None, description="The metric that gives the same in CPU time, for a busy host."
    )


class Compare(_Section):
    """Cells that are compared, as named before the run."""

    of: n.Coordinates = Field(description="The cells that are compared, by some axes.")
    against: n.Coordinates = Field(description="What changes on those axes, by the same ones.")
    metrics: list[str] | None = Field(
        default=None,
        min_length=1,
        description="In which metrics. Default: those of the policy, else the first.",
    )


def _default(written: str) -> JsonDict:
    return {"default": written}


class LimitsSection(_Section):
    """What one trial may use."""

    cpus: n.Count = Field(default=_LIMITS.cpus, description="Cores.")
    memory: n.Memory = Field(
        default=_LIMITS.memory_bytes,
        description="Memory, without swap.",
        json_schema_extra=_default("4g"),
    )
    timeout: n.Duration = Field(
        default=_LIMITS.timeout_s, description="Wall time.", json_schema_extra=_default("15m")
    )
    pids: n.Processes = Field(default=_LIMITS.pids, description="Processes and threads.")
    temporary: n.Size = Field(
        default=_LIMITS.temporary_bytes,
        description="Size of /tmp.",
        json_schema_extra=_default("256m"),
    )
    output: n.Size = Field(
        default=_LIMITS.output_bytes, description="Size of /out.", json_schema_extra=_default("64m")
    )
    files: n.Count = Field(
        default=_LIMITS.files, description="Files and folders in each place to write."
    )
    log: n.Size = Field(
        default=_LIMITS.log_bytes, description="Kept of the log.", json_schema_extra=_default("1m")
    )
    result: n.Size = Field(
        default=_LIMITS.result_bytes,
        description="Size of a result.",
        json_schema_extra=_default("1m"),
    )


class PublishedCell(_Section):
    """What a publication printed about one cell."""

    cell: n.Coordinates
    values: dict[str, float] | None = Field(
        default=None, min_length=1, description="Number by metric."
    )
    note: n.Text | None = Field(default=None, description="What was said where there is no number.")


class PublishedSection(_Section):
    """What was published, to be shown beside what is measured."""

    source: n.Text = Field(description="Where it was published.")
    cells: list[PublishedCell | None] = []


class Claim(_Section):
    """A published sentence: a comparison of two cells, or the status of one."""

    id: n.Name
    text: n.Text
    of: n.Coordinates = Field(description="The cell the sentence is about.")
    against: n.Coordinates | None = Field(default=None, description="The cell it is compared with.")
    metric: str | None = None
    says: _DirectionWord | None = Field(default=None, description="Which way the metric goes.")
    published: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="The two published numbers: of, against."
    )
    status: _StatusWord | None = Field(
        default=None, description="The status the cell is said to end in."
    )


class Document(_Section):
    """A study: which versions are compared, by which experiment, and how."""

    format: int | None = Field(json_schema_extra={"const": FORMAT})
    name: n.Name | None = Field(description="A short name; runs are named after it.")
    title: n.Text | None = Field(default=None, description="The headline of reports.")
    axes: Annotated[dict[n.Label, AnyAxis], Field(min_length=1)] | None = Field(
        description="What is varied. The first axis varies slowest."
    )
    exclude: list[n.Coordinates | None] | None = Field(
        default=None, description="Combinations that are left out; each names some of the axes."
    )
    include: list[Include | None] | None = Field(
        default=None,
        description="Settings for some cells, or further cells. Applied after `exclude`.",
    )
    environment: Environment | None = None
    experiment: Experiment | None
    parameters: dict[n.Label, n.Parameter] | None = Field(
        default_factory=dict, description="What the script is told, besides the values of run axes."
    )
    quick: dict[n.Label, n.Parameter] | None = Field(
        default=None, description="Parameters that --quick replaces."
    )
    metrics: Annotated[dict[n.Label, Metric], Field(min_length=1)] | None
    baseline: n.Coordinates | None = Field(
        default=None, description="What the others are compared with."
    )
    compare: list[Compare | None] | None = Field(
        default=None,
        min_length=1,
        description="Comparisons named before the run. Default: each value of the first axis "
        "against the baseline.",
    )
    blocks: n.Count | None = Field(default=7, description="How often each cell is executed.")
    looks: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=4,
        description="How often verdicts may be read: after once, twice .. that often the blocks. "
        "With 1, intervals are narrower and no blocks can be added.",
    )
    repeats: Annotated[int, Field(ge=0, le=2)] | None = Field(
        default=2,
        description="How often a trial is repeated that the machine disturbed, at the end of its "
        "block.",
    )
    matched: bool | None = Field(
        default=False,
        description="Whether every cell is handed the same initial weights and order of samples.",
    )
    limits: LimitsSection | None = None
    policy: dict[str, n.Change] | None = Field(
        default=None, description="The worst acceptable change by metric: +3% or -0.2."
    )
    published: PublishedSection | None = None
    claims: list[Claim | None] | None = None


class _WithoutNull(GenerateJsonSchema):
    """``None`` is ours; nobody may write null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ()) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's name
        return False  # the key says it already


def schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of ``matrix.yaml``."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Document.model_json_schema(schema_generator=_WithoutNull),
    }
