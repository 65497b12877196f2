"""Messages that need an engine, an index or a damaged file, so no entry of the list provokes them.

They are written as in the code, with names in braces. Only their words are checked here; most have
a test of their module.
"""

TEMPLATES = (
    # runner/bundle/file.py
    "{path} cannot be written ({why(error)}); fix this and run the command again.",
    "{path} is not a bundle: it has no {MANIFEST}; name another file.",
    "{path} is not a bundle: it holds {entry.name} twice; get another copy.",
    "{path} holds more than {size(most_bytes)} or {MOST_FILES} files; free some disk space, or get another copy.",
    "{path} is not a bundle: it must not hold {entry.name}; get another copy.",
    "{path} is outside the matrix's folder, so it cannot be packed; move it there.",
    "{folder / name} is damaged or missing; get another copy.",
    "{path} is not part of the bundle; remove it, or get another copy.",
    "the bundle needs {name}, but does not contain it; get another copy.",
    # runner/bundle/pack.py
    "another process is executing {folder.path}; wait for it, or name another run.",
    "a bundle cannot contain container images that were not built by matrix-runner ({labels}); pack a study without them.",
    # runner/bundle/replay.py
    "the bundle's numbers of blocks are not all between 1 and {MOST_BLOCKS}; get another copy.",
    "the bundle's lock has no entry for {labels}; get another copy.",
    "a replay runs no other container images than its own ({labels}); run the study itself.",
    "the results in the bundle are of another study than its matrix and lock; get another copy.",
    "the bundle has no environment for {listed(lacking)} that fits this matrix-runner; version {bundle.manifest.runner_version} made it: use the bundle's replay.sh.",
    "{written} differs from the Dockerfile of this matrix-runner; version {bundle.manifest.runner_version} made the bundle: use the bundle's replay.sh.",
    # runner/bundle/wheels.py
    "the runner's own wheel cannot be made ({why(error)}); install matrix-runner and run the command again.",
    "pip could not {purpose}: {last}. Check the network and the package index, and that `{sys.executable} -m pip` works.",
    # runner/cli/commands.py
    "{cell.id} runs in an image; its packages are not locked here. Choose another cell.",
    # runner/cluster/__init__.py
    "the scheduler at {url} is gone, or has sent this worker away; see what its run says, and then start this worker again.",
    # runner/cluster/address.py
    "{where} shows a certificate that our authority has not signed ({error.verify_message}): it may be another scheduler, or {SETTINGS} are of another cluster; check them.",
    # runner/cluster/dask.py
    "the run does not send the files that its block needs; check the network between this host and the scheduler.",
    "the scheduler at {url} is gone; start it and run the same command to resume (finished blocks are kept).",
    "the scheduler at {address.url} does not answer like Dask ({error}); check the address and that all machines have the same version of distributed.",
    "Dask could not execute a block ({first}): install the same versions of matrix-runner and distributed for the scheduler, its workers and the run, and start workers with `matrix-runner worker`.",
    # runner/cluster/orders.py
    "it has another version of matrix-runner than the run; install the same one on all machines.",
    # runner/cluster/packing.py
    "workers of a cluster cannot get container images that were not built by matrix-runner ({labels}); leave these cells out with --select.",
    "a worker asked for a file that is not part of the study; install the same matrix-runner on all machines.",
    # runner/cluster/parts.py
    "the run names a file without a valid digest; install the same matrix-runner on all machines.",
    # runner/cluster/worker.py
    "another process executes a block of the run {run} on this host; wait until it ends.",
    "this worker was stopped; start it again.",
    "{lost.trial.id} was lost too often, the last time: {lost.reason}. Check the engine of this host.",
    "{name} is not the file that the run began with; restore it, or begin another run with --new.",
    "the run sends {quoted(name)}, which is outside the folder of the study; move it there.",
    "the image of {one.request.label} is gone again; free some disk space.",
    # runner/doctor/calibration.py
    "the same work failed outside a container: check that {interpreter.path} works and that this process may use core {core}.",
    "a container that only counts failed: {parsed.reason}. Restart the engine.",
    # runner/engines/base.py
    "the interpreter {interpreter.path} cannot be examined: {why(error)}. Fix that, or name a base image with `environment: {base: <image>}` in the matrix.",
    "no base could be assembled from {interpreter.path}: {why(error)}. Name a base image with `environment: {base: <image>}` in the matrix.",
    "the interpreter {interpreter.path} could not be copied to {target}: {why(error)}. Fix that, or use a container engine.",
    "the base in {tar} could not be unpacked: {why(error)}. Get the bundle again.",
    # runner/engines/caches.py
    "the cache {path} cannot be removed ({why(error)}); fix this and run the command again.",
    # runner/engines/docker/plain.py
    "whatever listens on {path} answers, but not like Docker: start Docker, or name an engine in DOCKER_HOST.",
    "the engine on {path} could not list its images ({error}): restart it.",
    "no engine answers on {path} ({why(error)}): start Docker.",
    # runner/engines/docker/client.py
    "the engine stopped answering when it had to {step} ({cause(error)}); start it and run the same command to resume (finished trials are kept).",
    "an image that existed before is gone ({cause(error)}); run the same command to build it again.",
    # runner/engines/docker/images.py
    "the base {base.name} was removed from the engine; run the same command to get it again.",
    "{file} is not an archive of the base {base.name} ({why(error)}); get the bundle again.",
    "cannot find or pull the base {name} ({cause(error)}); set `environment: {base: auto}` to assemble one from this machine.",
    "the base {base.name} was replaced by another image; repeat the command to use that one.",
    "the image of {context.label} could not be built: {reason}",
    # runner/engines/docker/questions.py
    "{interpreter.name} runs only on a base that is assembled from this machine; remove `base: {wanted}` from the matrix.",
    "the engine answers, but not like Docker: name another one in DOCKER_HOST.",
    # runner/engines/docker/ready.py
    "the engine cannot run the image {name}: {cause(error)}; use another one.",
    "the image {name} is neither on the engine nor can its registry be asked for it ({cause(error)}): correct its name, or use `docker login` if the registry wants a password.",
    "the image {request.name} with the locked digest {request.digest} is neither on the engine nor could it be pulled ({cause(error)}): push or load it again, or lock the image that has this name now.",
    "{request.name} could not be built: {build_problem(error)}",
    "the files of {request.name} are not those that were locked: lock them again.",
    "the image {name} declares the volume {path}, but trials find their files in /inputs: use one that was built without that VOLUME.",
    "the image {name} is made for {system}/{processor}, but the engine runs on linux/{machine}: name an image for that.",
    "{name} has no python3 of 3.6 or newer on its PATH that trials could use ({'; '.join(problems)}): install one in the image.",
    # runner/engines/docker/trials.py
    "{trouble}; open another shell.",
    "the input volume was removed from the engine; run the same command to fill it again (finished trials are kept).",
    # runner/engines/protocol.py
    "the packages of {self.label} cannot be packed ({why(error)}); free disk space, or name another folder with TMPDIR or --context.",
    # runner/engines/venv/__init__.py
    "the shell could not run ({why(error)}). Fix this and open another one.",
    "the venv engine cannot run container images, so {name} cannot be used: use --engine docker or podman.",
    "the venv engine needs Linux. Use a container engine.",
    "the matrix wants the base {wanted}, which only a container engine can provide: set `environment: {base: auto}`, or start one.",
    "these environments are built on the image {base.name}, which only a container engine can use. Start one.",
    "the interpreter {path} was replaced meanwhile; repeat the command to use the new one.",
    "the trial {launch.trial} could not be executed ({why(error)}). Fix this and run the same command to resume (finished trials are kept).",
    "the {kind} of {launch.trial} vanished from {self._environments.folder}; run the same command to have everything there again (finished trials are kept).",
    "{thing.id} cannot be removed ({why(error)}). Fix this and run the command again.",
    # runner/engines/venv/cache.py
    "environments cannot be kept in {self.folder}, because trials run as another user, who cannot enter {closed[0]}. Set {CACHE} to another folder.",
    "environments cannot be kept in {self.folder} ({why(error)}). Set {CACHE} to another folder.",
    "the environment of {context.label} could not be built: {error}",
    "Python {python} from the bundle does not run here, perhaps because it needs a newer C library than this machine has. Start a container engine.",
    # runner/engines/venv/sandbox.py
    "the venv engine cannot start a process here (it tried {', '.join(kinds)}). Use another user, or a container engine.",
    "the venv engine needs `setpriv` of util-linux: install it, or use a container engine.",
    # runner/execute/__init__.py
    "a file of the experiment cannot be copied ({why(error)}); fix this and repeat the command.",
    # runner/lock/__init__.py
    "{request.label} is locked for {entry.platform}, but this machine is {here}: remove the lock file and lock again, or use a copy of the matrix with its own lock for each platform.",
    "{listed(lost)} of {request.label} is not here as it was locked; restore the file or the sources, or remove the entry from the lock and lock again.",
    "{local[wheel.name]} was replaced since {request.label} was locked; remove its entry from the lock and lock again, or restore the file.",
    # runner/lock/export.py
    "the package index no longer has a file of {package.name} {package.version} with the locked hash {wanted[:17]}...; export it as requirements.txt, which needs no addresses.",
    # runner/lock/file.py
    "{path}: cannot be written ({error.strerror}); make the folder of the matrix writable.",
    # runner/lock/outside.py
    "no engine was asked for the image {name}; start one.",
    "{written} cannot be read: {reason}; check the file.",
    "{written} leads out of the folder of the matrix; move it, or name a commit: `git:HEAD:{written}`.",
    "{quoted(path)} is no lock file that can be read: name {pins.FORMATS} (other tools can export one of them).",
    "{written} leads out of the folder of the matrix; copy it there.",
    # runner/lock/projects.py
    "the wheel of {_label(source)} cannot be kept ({why(error)}); free some disk space, or set XDG_CACHE_HOME to a folder that you can write.",
    "project {quoted(project)} at {quoted(at)}: the link {quoted(path)} leads out of the project; replace it by its target.",
    "project {quoted(project)} at {quoted(at)}: it has neither a pyproject.toml nor a setup.py; name the folder that has one.",
    "the files of {_label(source)} have changed since: try again.",
    # runner/lock/ranges.py
    "the range {range_} has {len(taken)} versions of {names}; narrow it, or add `take: latest-minor`.",
    "no version of {names} is in the range {range_}; the newest versions are {near}.",
    "{names} is not on the package index; check the spelling.",
    # runner/lock/releases.py
    "{request.label} cannot be resolved as of a day, because its package index does not publish upload times: write `as_of: today` under `environment`, or use an index that publishes them.",
    "as_of: {as_of} is not a date: write release, today or a date such as 2019-10-17.",
    # runner/pipeline.py
    "the image of {entry.request.label} was removed and built again, so it may differ from the one that this run measured; begin another run with --new.",
    "a file of the experiment was edited while images were built; repeat the command to begin a run with the edited files.",
    "The run stops here: {self._lost} of {self._executed} trials were lost because of the machine, the last one because {cause}. Fix this and run the same command to resume; finished trials are kept.",
    # runner/prepare/__init__.py
    "the image of {waiting[0].request.label} was removed during the replay; run the same command to build it again from the bundle and to resume.",
    "the build context of {environment.request.label} cannot be written ({why(error)}); free disk space, or name another folder with TMPDIR or --context.",
    "the base {context.base.name} is not the one that this command began with; repeat the command to use it.",
    # runner/prepare/recipe.py
    "Dockerfiles/environment.Dockerfile is missing; reinstall matrix-runner.",
    # runner/python/bytecode.py
    "the packages of {label} could not be compiled: {why(error)}. Try again.",
    # runner/python/confinement.py
    "source packages cannot be built safely here: the user of builds (nobody) cannot start {program} and {interpreter} in {tempfile.gettempdir()}. Install bubblewrap, or do not run as root, or forbid builds with `environment: {source_packages: refuse}`.",
    # runner/python/index.py
    "the package index at {address.host} cannot be asked for {name}: {reason}. Check the network, the address of the index and its credentials, then try again.",
    # runner/python/interpreters.py
    "this machine has no Python {name} (it has {others}) and uv could not download it: install it, for example with `pyenv install {name}`, and try again.",
    "uv could not list the interpreters of this machine: {answer.reason}. Check that `uv python list` works.",
    # runner/python/packages.py
    "the locked packages of {environment.request.label} cannot be installed: {reason}. Remove its entry from the lock and lock again.",
    "the packages of {label} overwrite each other: {other} and {package} both contain {path}. Keep one of the two, and leave out packages that require the other one.",
    "{record.parent.name} has a list of files that is damaged. Use another version.",
    "the package index names a package that cannot be: {error}. Use another index.",
    "{name} has no version and hash on a package index, so it cannot be locked: use only packages from an index.",
    # runner/python/uv.py
    "uv, which resolves and installs packages, is missing: run `pip install uv` in the environment of the runner.",
    "uv could not start to {purpose}: {why(error)}. Reinstall uv.",
    "uv could not {purpose} within {timeout_s} s: check the network and the package index, then try again.",
    # runner/read/axes.py
    "`{version}` in `image` and the key `versions` need each other; add the missing one.",
    'the locked versions {listed(found)} are not all in the range "{wanted.specifier}"; remove the range from the lock and lock again.',
    "the versions \"{wanted.specifier}\" of {listed(wanted.distributions, 'or')} are not locked yet; run `{program.name()} lock` first.",
    # runner/read/requirements.py
    "{name} cannot be read: {why(error)}; correct the file.",
    # runner/runs/enter.py
    "a file of the experiment cannot be read ({why(error)}); fix this and repeat the command.",
    "another process is executing {folder.path}; wait until it ends, or begin another run with --new.",
    # runner/runs/folder.py
    "the run folder {self.path} was removed or renamed. Put it back to keep its results, and run the same command again.",
    "{path} is a link, which is not followed; remove it.",
    # runner/system/context.py
    "{folder} contains no {DOCKERFILE}: add one, or correct the path.",
    # runner/system/tempdir.py
    "cannot make a temporary folder ({why(error)}); free some disk space, or set TMPDIR to another folder.",
)
"""Whole messages."""

PARTS = (
    # runner/bundle/pack.py
    "no run of {matrix.name} in {reports}: the bundle will contain no results",
    "packing the runner's wheels for Python {listed(pythons)}",
    "{label} was measured on another base than {now.name}, which is packed",
    # runner/ci/github/artifact.py
    "it is larger than {size(LARGEST_ARCHIVE)}",
    # runner/ci/github/comment.py
    "Updated the comment on pull request {number}.",
    "Commented on pull request {number}.",
    # runner/cli/commands.py
    "on the other machine: tar -xf {shlex.quote(target.name)} && {script}",
    "cannot tell: the bundle contains no results to compare with",
    # runner/cli/shell.py
    "warning: runs measure on every core here, and what you start may disturb them; wait until one ends, or start nothing large",
    # runner/cli/warnings.py
    "a trial takes all {cores} cores of this machine, so the runner itself disturbs it; lower `limits: {cpus: ...}` if times matter",
    # runner/cluster/__init__.py
    "{counted(len(self._lost), 'block')} lost. Run the same command to try again.",
    # runner/cluster/address.py
    "{where} refuses our certificate ({reason.lower().replace('_', ' ')}): use one of its own authority in {SETTINGS}.",
    "{where} does not speak TLS ({reason.lower().replace('_', ' ')}); start it with TLS.",
    # runner/cluster/dask.py
    "this worker was not started by `matrix-runner worker`",
    "it ended {error.allowed_failures + 1} workers, the last one on {error.last_worker.address}",
    # runner/cluster/orders.py
    "it is not an answer, or it is too large",
    "it answers another order",
    "it names no engine",
    "it used an image of another environment",
    "it holds {trial.id}, which was not ordered",
    "a log is missing, or belongs to nothing",
    "its block is not complete",
    # runner/engines/__init__.py
    "{why}Trials run as processes. Isolation: {engine.describe().isolation}",
    # runner/engines/docker/plain.py
    "no complete answer within {ANSWER_S} s",
    "its answer is larger than {LARGEST_BYTES} bytes",
    # runner/engines/docker/client.py
    "start it, or choose another context with `docker context use`",
    "check that ca.pem, cert.pem and key.pem in {address.certificates} belong to this engine",
    "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of its certificates",
    "check that ssh connects without asking anything and finds `docker` there",
    "add yourself to the group `docker`, or use an engine of your own",
    "no reason given",
    # runner/engines/docker/images.py
    "would make its containers look like the leftovers of a run: use one that was built without LABEL {labels.RUN}",
    "would make trials run without their packages: use one that was built without LABEL {labels.PYTHON}",
    "would give trials a disk without limits: use one that was built without VOLUME",
    "it holds more than its size",
    # runner/engines/docker/loading.py
    "{word} could mean something else to a builder",
    "the last instruction does not add the packages",
    "{entry.name} means in a layer that a file is removed",
    # runner/engines/docker/ready.py
    "its digest {found[:80]} is not one",
    "ended with exit code {code}",
    "did not answer within {TRY_S} s",
    "cannot be executed",
    # runner/engines/venv/__init__.py
    "the environment or the inputs were replaced",
    "the trial could not be started: {last}",
    "the trial's process was killed from outside while the trial ran",
    # runner/execute/cleanup.py
    "removed {removed} that a dead run left on the engine: {folders[run]}",
    # runner/execute/guards.py
    "{reading.swapped_in_pages} pages were swapped in",
    "the container was throttled for {reading.throttled_s} s",
    "the hypervisor took {stolen * 100} % of the measured core",
    "other processes took {foreign * 100} % of the measured core",
    # runner/execute/outputs.py
    "{where} is {number}, which is not a finite number",
    "{where} is {quoted(printable(text))}, not a number",
    "{where} has more than {MAX_NUMBERS} numbers",
    "the regular expression {quoted(pattern)} took too long on the output of the script; write a simpler one",
    "{where} is {kind_of(value)}, not a number",
    # runner/execute/result.py
    "the launcher's document was tampered with",
    "the launcher's document is incomplete",
    "the launcher sent no document",
    "killed by signal {-exit_code}",
    ", and the log is empty",
    # runner/execute/script_result.py
    "has more than {MAX_NAMES} names, or too long a name",
    # runner/lock/__init__.py
    "locked {entry.request.label}: Python {entry.python}, {count} as of {entry.as_of.date()}",
    "{entry.request.label} needs {sources} as of {entry.as_of.date()}, which cannot be built for Python {entry.python} ({why}); choose another Python or version{advice}",
    # runner/lock/export.py
    "sys_platform == '{system}' and platform_machine == '{machine}'",
    # runner/lock/file.py
    "{quoted(line)} is not a package with a version and hashes",
    # runner/lock/pins.py
    "its parts are not those of a lock file; export it again",
    "{request.label} needs {pin.name} {pin.version}, which has no wheel for Python {interpreter.name}; set `source_packages: build` to allow source packages",
    "{pins.written} has two versions of {pin.name} for Python {interpreter.name}",
    "{request.label} cannot be installed from {pins.written}: {package}",
    "{quoted(subject)} cannot be a package ({error})",
    "{subject} has no file for Python {interpreter.name} on this platform",
    "{subject} is not on the package index",
    # runner/lock/projects.py
    "it is not a folder, or a link leads there",
    "it is outside the repository; name a folder of the project under test",
    "there are more than {size(LARGEST_FOLDER)} of files",
    "there are more than {MOST_FILES} files",
    "the wheel of {_label(source)} cannot be built for Python {interpreter.name}: {shortened(one_line(reason)).rstrip('.')}; make `uv build` work in a fresh copy of these files{advice}.",
    # runner/lock/releases.py
    "no Python here has files for {lines}; choose versions from the same time",
    "{name} is not on the package index; check the spelling",
    "{request.label} needs Python {requires}, and {asked} is not such a Python",
    "{need.axis} {need.version} was uploaded on {_first(every)}, after the day in `as_of: {request.as_of}`; choose a later day or `release`",
    "{absent}; the nearest versions are {listed(near)}",
    "{absent}; {need.version} is not a version, the newest one is {known[-1]}",
    "{absent}; check the spelling",
    "{subject} has wheels only for Python {pythons}, and this machine has none of them; install one, remove this entry from the lock and lock again",
    "{subject} has no wheel for Python {asked}, only for {pythons}; choose one of them or `python: auto`",
    "not {asked}; choose such a Python or `python: auto`",
    "which this machine does not have; install one, remove this entry from the lock and lock again",
    "{subject} has wheels only for {listed(platforms)}, not for {here}",
    # runner/lock/resolve.py
    "{self.request.label} cannot be resolved as of {self.as_of.date()}",
    "; `compile: true` allows a compiler",
    "{reason}; `source_packages: refuse` takes older packages that have wheels",
    "{reason}; set `source_packages: build` to allow source packages",
    # runner/pipeline.py
    "Begin another run with --new, or add blocks to this one with --blocks N.",
    "{counted(lost, 'trial')} lost because of the machine. Run the same command to repeat {'it' if lost == 1 else 'them'}.",
    # runner/python/index.py
    "it takes longer than {WHOLE_S} s",
    "it is larger than {LARGEST_BYTES >> 20} MB",
    # runner/python/packages.py
    "{built} is not a folder",
    # runner/read/fields.py
    "text or a number",
    # runner/read/grid.py
    "these make {count} cells, too many for {other_values} other values",
    "`{axis}` is only in `{here}`; give it a value in `{there}` too",
    # runner/read/pruning.py
    "it cannot be reduced to these cells.",
    "its text declares other cells than those of the run.",
    # runner/records/environment.py
    "{self.request.label} asks for an image, not for packages",
    "{self.request.label} asks for Python {self.request.python}",
    "{self.request.label} asks for another image",
    "{self.request.label} asks for no image",
    # runner/records/run.py
    "there is no shard {self}",
    "{kind}; {limited}). venv does not contain a hostile script.",
    # runner/records/study.py
    "output matching {name}",
    "a higher {one.title} is better",
    "{one.title} is not compared by ratios",
    # runner/report/issue/reproduce.py
    "the run folder does not contain it.",
    # runner/runs/checks.py
    "nothing was executed, although it is ok",
    "its image is not one of the run",
    "its seed is not the one in the plan",
    "the run has no such cell",
    "it is the result of {trial.id}",
    # runner/runs/folder.py
    "matrix.claims: a claim names no cell",
    "matrix.policy: nothing can fall by 100 % or more",
    "matrix.axes: an axis of a cell is missing",
    "matrix.metrics: {quoted(min(unknown))} is missing",
    # runner/runs/merge.py
    "machines: a block belongs to two of them",
    "they differ in their locks; merge only runs with the same lock",
    # runner/system/archive.py
    "{entry.name} is neither a file, a folder nor a link",
    "the hard link {entry.name} leads to another link",
    "the link {entry.name} leads out of the folder",
    "{str(folder)} is a link, so nothing is unpacked behind it",
    "a header in it is too large",
    # runner/system/cores.py
    "waiting for core {core}, on which {holder} measures",
    # runner/system/git.py
    "{top} has no commit {name}: if it is a shallow clone, `git fetch --unshallow` gets older commits",
    "git is needed to read {name}: install it",
    "{quoted(name)} is no revision: write {REVISIONS}",
    "git cannot list the files of {folder}; check that it is installed",
    "the git repository of {folder} cannot be read: {reason}",
    "{quoted(path)} of {self.name} is not readable: {error}",
    "{quoted(path)} is a {found.kind} in {self.name}: name a folder",
    "{self.name} is not readable: {error}",
    # runner/system/git_folder.py
    "{path} names no git folder",
    "run `git refs migrate --ref-format=files` there to make branches readable",
    "its git folder {own} belongs to another folder; try `git worktree repair`",
    "a reference leads to no commit",
    # runner/system/git_objects.py
    "git cannot list the files of {commit}",
    "the commit {commit} has no files",
    "its folders are nested more than {DEEPEST} deep",
    "git cannot read its objects; `git fsck` may say why",
    "{size(total)} of files are more than {size(LARGEST_FOLDER)}",
    "the {kind} {name} is missing, as in a partial or damaged clone; `git fetch --refetch` may bring it",
    "the {kind} {name} is damaged; `git fsck` says more",
    "a folder of the commit has a strange entry {quoted(name)}",
    # runner/system/host.py
    'TensorFlow\'s wheels need an x86-64 processor with AVX, which this processor ({host.cpu_model}) does not report. Trials may end with "Illegal instruction": use another machine.',
    # runner/system/packing.py
    "{self.file} was cut off while it was packed",
    "{found.path} is neither a file, a folder nor a link",
    "{path.name} has too many entries, or one without a name",
    "{found.name} is neither a file, a folder nor a link",
    # runner/system/safe.py
    "larger than the limit of {limit} bytes",
    "belongs to another user",
    "is a link, which is not followed",
    # runner/system/stored.py
    "Date needs a time zone and a usual year",
    "Number is too large",
)
"""Reasons and other parts of messages, such as problems of a file that a message names."""
