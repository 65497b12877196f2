"""Which shard a command executes: options and schedulers say so in different ways."""

from collections.abc import Mapping

import pytest

from runner.cli.arguments import Options, parse
from runner.cli.shard import chosen
from runner.errors import ConfigError
from runner.records.run import Shard


def slurm(task: int, first: int, last: int, count: int, **others: str) -> Mapping[str, str]:
    """Return the variables of a task of an array job."""
    numbers = {"ID": task, "MIN": first, "MAX": last, "COUNT": count}
    return {**{f"SLURM_ARRAY_TASK_{name}": str(one) for name, one in numbers.items()}, **others}


@pytest.mark.parametrize(
    ("variables", "shard", "by"),
    [
        ({"MATRIX_RUNNER_SHARD": "2/5"}, Shard(2, 5), "MATRIX_RUNNER_SHARD"),
        (slurm(2, 1, 5, 5), Shard(2, 5), "SLURM_ARRAY_TASK_ID"),
        (slurm(0, 0, 4, 5), Shard(1, 5), "SLURM_ARRAY_TASK_ID"),
        (slurm(3, 3, 3, 1, MATRIX_RUNNER_SHARDS="5"), Shard(3, 5), "SLURM_ARRAY_TASK_ID"),
        (slurm(2, 1, 5, 5, MATRIX_RUNNER_SHARD="4/9"), Shard(4, 9), "MATRIX_RUNNER_SHARD"),
        (
            {"JOB_COMPLETION_INDEX": "0", "MATRIX_RUNNER_SHARDS": "3"},
            Shard(1, 3),
            "JOB_COMPLETION_INDEX",
        ),
    ],
)
def test_a_scheduler_chooses_the_shard(variables: Mapping[str, str], shard: Shard, by: str) -> None:
    """Tasks of Slurm count from 1 or 0, pods of Kubernetes from 0."""
    assert chosen(Options(), variables) == (shard, by)


def test_the_command_line_wins() -> None:
    """Without it and without a scheduler, all blocks are executed."""
    assert chosen(Options(shard="1/1"), slurm(2, 1, 5, 5)) == (Shard(1, 1), "--shard")
    assert chosen(Options(), {"MATRIX_RUNNER_SHARDS": "3"}) is None


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"MATRIX_RUNNER_SHARD": "6/5"}, "expected a shard such as 2/5"),
        ({"MATRIX_RUNNER_SHARD": "\u0662/5"}, "expected a shard such as 2/5"),
        ({"MATRIX_RUNNER_SHARD": ""}, "expected a shard such as 2/5"),
        (slurm(3, 3, 3, 1), "does not say how many shards"),
        (slurm(7, 1, 7, 3), "does not say how many shards"),
        (slurm(0, 0, 4, 5, MATRIX_RUNNER_SHARDS="5"), "shard 0 of 5, which does not exist"),
        (slurm(1, 1, 2, 2, MATRIX_RUNNER_SHARDS="x"), 'MATRIX_RUNNER_SHARDS: .*, not "x"'),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_MIN"),
        ({"JOB_COMPLETION_INDEX": "1"}, "Set MATRIX_RUNNER_SHARDS"),
        ({"JOB_COMPLETION_INDEX": "3", "MATRIX_RUNNER_SHARDS": "3"}, "shard 4 of 3"),
    ],
)
def test_it_is_never_guessed(variables: Mapping[str, str], reason: str) -> None:
    """A wrong guess would leave blocks out, or run all of them on every machine."""
    with pytest.raises(ConfigError, match=reason):
        chosen(Options(), variables)


@pytest.mark.parametrize("given", [{"until": "decided"}, {"gate": True}])
def test_what_needs_all_blocks_is_refused(given: dict[str, object]) -> None:
    """A single shard has them."""
    options = Options()._replace(**given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs the verdicts of all blocks"):
        chosen(options._replace(shard="1/2"), {})
    assert chosen(options._replace(shard="1/1"), {}) == (Shard(1, 1), "--shard")


@pytest.mark.parametrize("text", ["0/5", "6/5", "2", "2/", "1/05", "9999999/9999999"])
def test_a_wrong_option_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence shows how a shard is written."""
    with pytest.raises(SystemExit):
        parse(["run", "--shard", text])
    assert "expected a shard such as 2/5" in capsys.readouterr().err


def test_the_shards_hold_each_block_once() -> None:
    """The block with the number of the shard is its first one."""
    shards = [Shard(number, 5) for number in range(1, 6)]
    for block in range(1, 100):
        assert [one.number for one in shards if one.holds(block)] == [(block - 1) % 5 + 1]
