"""Engines that are missing or too small."""

from runner.errors import Exit
from tests.messages.message import Message, Section
from tests.messages.world import after, study, unreachable, variables, without

ENGINES = Section(
    title="Engines",
    messages=(
        Message(
            line="run",
            given=study("limits: {cpus: 999}"),
            place="limits.cpus",
            says="limits.cpus is 999, but the engine has only ...; lower it in the matrix.",
        ),
        Message(
            line="run",
            given=study("limits: {memory: 999g}"),
            place="limits.memory",
            says="limits.memory is 999 GiB, but the engine has only ... GiB; lower it in the matrix.",
        ),
        Message(
            line="run",
            given=study("parallel: 999"),
            place="parallel",
            says="parallel is 999, which takes 999 physical cores, but the engine has only ...; lower it, or write `auto`.",
        ),
        Message(
            line="run --parallel 2",
            given=study("limits: {memory: 40g}"),
            place="parallel",
            says="parallel is 2, which may take 80 GiB of memory, but the engine has only ... GiB; lower it, or limits.memory.",
        ),
        Message(
            line="run --engine docker",
            given=after(study(), unreachable),
            code=Exit.ENGINE,
            place="unix:///nonexistent/docker.sock",
            says="no Docker engine answers at unix:///nonexistent/docker.sock (No such file or directory): start Docker, or name an engine in DOCKER_HOST.",
        ),
        Message(
            line="run --engine docker",
            given=after(study(), unreachable, variables(DOCKER_HOST="tcp://127.0.0.1:1")),
            code=Exit.ENGINE,
            place="tcp://127.0.0.1:1",
            says="no Docker engine answers at tcp://127.0.0.1:1 (Connection refused): start Docker, or name an engine in DOCKER_HOST.",
        ),
        Message(
            line="run --engine docker",
            given=after(study(), unreachable, variables(DOCKER_HOST="carrier-pigeon://here")),
            code=Exit.ENGINE,
            place="carrier-pigeon://here",
            says="no Docker engine answers at carrier-pigeon://here (this is no address of an engine): start Docker, or name an engine in DOCKER_HOST.",
        ),
        Message(
            line="run --engine docker",
            given=after(
                study(),
                unreachable,
                without("DOCKER_HOST"),
                variables(DOCKER_CONTEXT="gone", DOCKER_CONFIG="/nonexistent"),
            ),
            code=Exit.ENGINE,
            place="/nonexistent/contexts",
            says="the Docker context gone cannot be read in /nonexistent/contexts (No such file or directory): choose another context with `docker context use`, or name an engine in DOCKER_HOST.",
        ),
        Message(
            line="run --engine podman",
            given=after(
                study(), unreachable, variables(CONTAINER_HOST="unix:///nonexistent/podman.sock")
            ),
            code=Exit.ENGINE,
            place="unix:///nonexistent/podman.sock",
            says="no podman answers at unix:///nonexistent/podman.sock (No such file or directory): start its service (`systemctl --user start podman.socket`).",
        ),
        Message(
            line="run",
            given=after(study(), unreachable, variables(DOCKER_HOST="tcp://127.0.0.1:1")),
            code=Exit.ENGINE,
            place="DOCKER_HOST",
            says="DOCKER_HOST is set, but no Docker engine answers at tcp://127.0.0.1:1 (Connection refused): start Docker, or name an engine in DOCKER_HOST. To run trials as processes, use --engine venv.",
        ),
        Message(
            line="run",
            given=after(
                study(),
                unreachable,
                without("DOCKER_HOST"),
                variables(DOCKER_CONTEXT="gone", DOCKER_CONFIG="/nonexistent"),
            ),
            code=Exit.ENGINE,
            place="context gone",
            says="the Docker context gone is chosen, but the Docker context gone cannot be read in /nonexistent/contexts (No such file or directory): choose another context with `docker context use`, or name an engine in DOCKER_HOST. To run trials as processes, use --engine venv.",
        ),
        Message(
            line="clean --engine docker",
            given=after(study(), unreachable),
            code=Exit.ENGINE,
            place="unix:///nonexistent/docker.sock",
            says="no Docker engine answers at unix:///nonexistent/docker.sock (No such file or directory): start Docker, or name an engine in DOCKER_HOST.",
        ),
    ),
)
