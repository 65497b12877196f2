"""Train one softmax layer on MNIST and measure every epoch, on TensorFlow 1.4 to 2.21.

Needs Python 3.6 to 3.13, numpy and tensorflow. ``docs/experiments.md`` describes its input and
output. The parameter ``model`` is one of these:

sequential
    A ``Sequential`` of ``Flatten`` and ``Dense(10, softmax)``, trained by ``fit``.
functional
    The same layers as a ``Model(inputs, outputs)``, trained by ``fit``.
subclassed
    A subclassed ``Model`` with its own softmax, trained by a loop around a ``tf.function``. If a
    release cannot run this, the script runs the closest variant and says so in ``adapted``.
subclassed-as-published
    The same without the adaptation. Before 2.0 it fails, and on 1.14 it never ends.
"""

import json
import logging
import os
import platform
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # show only errors
logging.getLogger("tensorflow").setLevel(logging.ERROR)
warnings.simplefilter("ignore")  # old releases use features that they deprecate

import numpy as np  # noqa: E402 - STARTED must come before the imports
import tensorflow as tf  # noqa: E402

models = tf.keras.models  # newer releases import Keras only on first access
IMPORTED = time.perf_counter()

Array = Any  # an array or a tensor; the types differ between releases


def main() -> None:
    """Train and test the requested model, and write the measurements."""
    spec = read_spec()
    adapted = adaptation(spec.model)
    cores = len(os.sched_getaffinity(0))
    configure(threads=cores, eager=adapted is not None and RELEASE >= (1, 14))
    set_seed(spec.seed)
    digits = read_digits()
    epochs = Epochs(spec.epochs, samples=len(digits.training[0]))
    tested = TRAIN[spec.model](digits, spec, epochs)
    result = {
        "format": 1,
        "values": measured_values(epochs, tested),
        "series": epochs.series,
        "environment": {**environment(cores), **matched_digest(spec)},
        "adapted": adapted,
    }
    Path(os.environ["RESULT_PATH"]).write_text(json.dumps(result, indent=1), encoding="utf-8")


# --- all differences between the releases, and the release in which each one changed -------------

RELEASE = tuple(int(part) for part in tf.__version__.split(".")[:2])
ACCURACY_KEY = "accuracy" if RELEASE >= (2, 0) else "acc"
KEEP_DIMENSIONS = {"keepdims" if RELEASE >= (1, 5) else "keep_dims": True}


def adaptation(model: str) -> Optional[str]:
    """Return how the model must be adapted for this release; None if it runs unchanged."""
    if model != "subclassed" or RELEASE >= (2, 0):
        return None
    if RELEASE >= (1, 14):
        return (
            "tf.compat.v1.enable_eager_execution() is called first: the loop iterates over a "
            "dataset, and eager execution is the default only from 2.0 on."
        )
    return (
        "A session runs the same layer, loss, optimizer and input pipeline as a graph: this "
        "release has no tf.function, so the loop is not the one that later releases run."
    )


def configure(threads: int, eager: bool) -> None:
    """Set the number of threads in the way this release obeys; switch on eager mode if asked."""
    if RELEASE >= (1, 15):
        if eager:
            tf.compat.v1.enable_eager_execution()  # before threads, or graph mode stays
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        return
    # 1.14 also accepts tf.config.threading, but ``fit`` ignores it.
    config = tf.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
    )
    if eager:
        tf.compat.v1.enable_eager_execution(config=config)
    else:
        tf.keras.backend.set_session(tf.Session(config=config))


def set_seed(seed: int) -> None:
    """Make the initial weights and the order of the samples repeatable."""
    seed %= 2**31  # every release accepts this range
    np.random.seed(seed)  # noqa: NPY002 - ``fit`` shuffles with the global generator
    if RELEASE >= (2, 7):
        tf.keras.utils.set_random_seed(seed)  # from 2.10 on, Keras has its own generator
    elif RELEASE >= (2, 0):
        tf.random.set_seed(seed)
    else:
        tf.set_random_seed(seed)


def reset(metric: Any) -> None:
    """Reset a metric."""
    if RELEASE >= (2, 5):
        metric.reset_state()
    else:
        metric.reset_states()


def runs_eagerly() -> bool:
    """Return whether operations run immediately instead of joining a graph."""
    return RELEASE >= (1, 7) and bool(tf.executing_eagerly())


def keras_version() -> Optional[str]:
    """Return the version of Keras; None in 1.8, which does not expose it."""
    package = sys.modules.get("keras")  # 2.13 to 2.15 expose it only there
    return getattr(tf.keras, "__version__", None) or getattr(package, "__version__", None)


# --- measurements --------------------------------------------------------------------------------


class Epochs:
    """The measurements of every epoch. The clocks run from ``begin`` to ``end``."""

    def __init__(self, planned: int, samples: int) -> None:
        self.planned = planned
        self.samples = samples
        self.created = self.began = self.first_began = self.first_ended = time.perf_counter()
        self.cpu_began = time.process_time()
        names = ("epoch_seconds", "epoch_cpu_seconds", "us_per_sample", "loss", "train_accuracy")
        self.series: Dict[str, List[float]] = {name: [] for name in names}

    def begin(self) -> None:
        """Start the clocks of an epoch."""
        self.cpu_began = time.process_time()
        self.began = time.perf_counter()

    def end(self) -> None:
        """Stop the clocks, so that reading and printing do not count as part of the epoch."""
        now = time.perf_counter()
        cpu_seconds = time.process_time() - self.cpu_began
        if not self.series["epoch_seconds"]:
            self.first_began, self.first_ended = self.began, now
        self.series["epoch_seconds"].append(now - self.began)
        self.series["epoch_cpu_seconds"].append(cpu_seconds)
        self.series["us_per_sample"].append((now - self.began) / self.samples * 1e6)

    def record(self, loss: float, accuracy: float) -> None:
        """Add the loss and accuracy (from 0 to 1) of the finished epoch, and print a line."""
        self.series["loss"].append(float(loss))
        self.series["train_accuracy"].append(float(accuracy) * 100)
        done, seconds = len(self.series["loss"]), self.series["epoch_seconds"][-1]
        print(
            f"epoch {done}/{self.planned}  loss {float(loss):.4f}  "
            f"train accuracy {float(accuracy) * 100:.2f} %  {seconds:.2f} s",
            flush=True,
        )


class EpochCallback(tf.keras.callbacks.Callback):  # type: ignore[misc] # tensorflow has no types
    """Measures the epochs of ``fit``."""

    def __init__(self, epochs: Epochs) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
        """Start the clocks."""
        self.epochs.begin()

    def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
        """Stop the clocks, then read the numbers of Keras's progress bar."""
        self.epochs.end()
        self.epochs.record(logs["loss"], logs[ACCURACY_KEY])


# --- models and training -------------------------------------------------------------------------


class Spec(NamedTuple):
    """The parameters of the trial."""

    model: str
    epochs: int
    batch: int
    seed: int
    matched: bool


class Digits(NamedTuple):
    """MNIST. Each set has images (float32, from 0 to 1) and labels (from 0 to 9)."""

    training: Tuple[Array, Array]
    test: Tuple[Array, Array]


class Tested(NamedTuple):
    """Loss and accuracy (from 0 to 1) on the test set."""

    loss: float
    accuracy: float


def train_sequential(digits: Digits, spec: Spec, epochs: Epochs) -> Tested:
    """Train the layers as a ``Sequential``."""
    flatten = tf.keras.layers.Flatten(input_shape=(28, 28))
    dense = tf.keras.layers.Dense(10, activation="softmax")
    return fit(models.Sequential([flatten, dense]), digits, spec, epochs)


def train_functional(digits: Digits, spec: Spec, epochs: Epochs) -> Tested:
    """Train the layers as a ``Model`` with inputs and outputs."""
    inputs = tf.keras.Input(shape=(28, 28))
    outputs = tf.keras.layers.Dense(10, activation="softmax")(tf.keras.layers.Flatten()(inputs))
    return fit(models.Model(inputs, outputs), digits, spec, epochs)


def fit(model: Any, digits: Digits, spec: Spec, epochs: Epochs) -> Tested:
    """Train and test a Keras model with Keras's own loop."""
    adam = tf.keras.optimizers.Adam()
    model.compile(adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    clocks = [EpochCallback(epochs)]
    if spec.matched:
        model.set_weights(initial_weights())
        for epoch in range(spec.epochs):
            samples = ordered(digits.training, epoch)
            model.fit(*samples, spec.batch, 1, verbose=0, callbacks=clocks, shuffle=False)
    else:
        model.fit(*digits.training, spec.batch, spec.epochs, verbose=0, callbacks=clocks)
    return Tested(*model.evaluate(*digits.test, verbose=0))


def train_as_published(digits: Digits, spec: Spec, epochs: Epochs) -> Tested:
    """Train the subclassed model with a loop around a ``tf.function``."""
    model = subclassed_model()
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy()
    optimizer = tf.keras.optimizers.Adam()
    mean_loss = tf.keras.metrics.Mean()
    accuracy = tf.keras.metrics.SparseCategoricalAccuracy()

    def step(images: Array, labels: Array) -> None:
        with tf.GradientTape() as tape:
            predictions = model(images)
            loss = loss_of(labels, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        mean_loss(loss)
        accuracy(labels, predictions)

    traced_step = tf.function(step)
    batches = shuffled_batches(digits.training, spec.batch)
    if spec.matched:
        model.dense.build((None, 28 * 28))
        model.dense.set_weights(initial_weights())
    for epoch in range(spec.epochs):
        if spec.matched:
            batches = plain_batches(ordered(digits.training, epoch), spec.batch)
        epochs.begin()
        reset(mean_loss)
        reset(accuracy)
        for images, labels in batches:
            traced_step(images, labels)
        epochs.end()
        epochs.record(mean_loss.result(), accuracy.result())
    images, labels = digits.test
    predictions = model(images)
    reset(accuracy)
    accuracy(labels, predictions)
    return Tested(loss_of(labels, predictions), accuracy.result())


def subclassed_model() -> Any:
    """Return the published model. 1.4 has no ``tf.keras.Model``, so the class is defined here."""

    class SoftmaxModel(tf.keras.Model):  # type: ignore[misc] # tensorflow has no types
        def __init__(self) -> None:
            super().__init__()
            self.flatten = tf.keras.layers.Flatten()
            self.dense = tf.keras.layers.Dense(10)

        # 1.7 to 1.10 reject a ``call`` with annotations.
        def call(self, inputs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            return softmax(self.dense(self.flatten(inputs)))

    return SoftmaxModel()


def train_in_session(digits: Digits, spec: Spec, epochs: Epochs) -> Tested:
    """Train the layer of the subclassed model as a graph."""
    holders = [tf.placeholder(array.dtype, array.shape) for array in digits.training]
    batches = (plain_batches if spec.matched else shuffled_batches)(tuple(holders), spec.batch)
    iterator = batches.repeat().make_initializable_iterator()
    images, labels = iterator.get_next()
    dense = tf.keras.layers.Dense(10)
    predictions = softmax(dense(tf.reshape(images, [-1, 28 * 28])))
    loss = tf.reduce_mean(tf.keras.backend.sparse_categorical_crossentropy(labels, predictions))
    hits = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(predictions, 1), labels), tf.float32))
    step = tf.train.AdamOptimizer(epsilon=1e-7).minimize(loss)  # as in Keras's Adam
    session = tf.keras.backend.get_session()
    session.run(tf.global_variables_initializer())
    session.run(iterator.initializer, dict(zip(holders, digits.training)))
    if spec.matched:
        dense.set_weights(initial_weights())
    steps = -(-epochs.samples // spec.batch)
    for epoch in range(spec.epochs):
        if spec.matched:
            samples = ordered(digits.training, epoch)
            session.run(iterator.initializer, dict(zip(holders, samples)))
        epochs.begin()
        measured = [session.run([loss, hits, step]) for _ in range(steps)]
        epochs.end()
        losses, all_hits, _nothing = zip(*measured)
        epochs.record(np.mean(losses), sum(all_hits) / epochs.samples)
    test_loss, test_hits = session.run([loss, hits], dict(zip((images, labels), digits.test)))
    return Tested(test_loss, test_hits / len(digits.test[0]))


def softmax(logits: Array) -> Array:
    """Return the probabilities of each row, computed as in the article."""
    powers = tf.exp(logits - tf.reduce_max(logits, axis=1, **KEEP_DIMENSIONS))
    return powers / tf.reduce_sum(powers, axis=1, **KEEP_DIMENSIONS)


def shuffled_batches(training: Tuple[Array, Array], batch: int) -> Any:
    """Return the training set in batches, shuffled within 1,024 samples."""
    return tf.data.Dataset.from_tensor_slices(training).shuffle(1024).batch(batch)


def plain_batches(training: Tuple[Array, Array], batch: int) -> Any:
    """Return the training set in batches, in its own order."""
    return tf.data.Dataset.from_tensor_slices(training).batch(batch)


def initial_weights() -> List[Array]:
    """Return the kernel and bias with which every version starts in matched mode."""
    import matched  # noqa: PLC0415 - this module exists only in matched mode

    return [matched.weights("kernel", (28 * 28, 10)), np.zeros(10, "float32")]


def ordered(training: Tuple[Array, Array], epoch: int) -> Tuple[Array, Array]:
    """Return the training set in the order that every version uses in an epoch, in matched mode."""
    import matched  # noqa: PLC0415

    images, labels = training
    order = matched.order(epoch, len(images))
    return images[order], labels[order]


def matched_digest(spec: Spec) -> Dict[str, str]:
    """Return the digest of the matched weights and orders; nothing outside matched mode."""
    if not spec.matched:
        return {}
    import matched  # noqa: PLC0415

    return {"matched": matched.digest()}


TRAIN = {
    "sequential": train_sequential,
    "functional": train_functional,
    "subclassed": train_as_published if RELEASE >= (1, 14) else train_in_session,
    "subclassed-as-published": train_as_published,
}

# --- input and output ----------------------------------------------------------------------------


def read_spec() -> Spec:
    """Read and check the parameters of the trial; exit with a message if one is invalid."""
    document = json.loads(Path(os.environ["PARAMS_PATH"]).read_text(encoding="utf-8"))
    parameters = document["parameters"]
    model = parameters.get("model")
    if model not in TRAIN:
        sys.exit(f"The model {model!r} is unknown; choose one of {', '.join(TRAIN)}.")
    for name in ("epochs", "batch"):
        value = parameters.get(name)
        if not isinstance(value, int) or value < 1:
            sys.exit(f"The parameter {name} is {value!r}; give a whole number, 1 or larger.")
    matched = document.get("matched", False)
    return Spec(model, parameters["epochs"], parameters["batch"], document["seed"], matched)


def read_digits() -> Digits:
    """Read MNIST, scale the images and convert the labels to int64."""
    with np.load(str(Path(os.environ["DATA_DIR"], "mnist.npz"))) as arrays:
        training, test = (
            (arrays["x_" + name].astype("float32") / 255, arrays["y_" + name].astype("int64"))
            for name in ("train", "test")
        )
    return Digits(training, test)


def measured_values(epochs: Epochs, tested: Tested) -> Dict[str, float]:
    """Return the values that exist once per trial: seconds, percent, a loss, and megabytes."""
    accuracies = epochs.series["train_accuracy"]
    return {
        "import_seconds": IMPORTED - STARTED,
        "build_seconds": epochs.first_began - epochs.created,
        "first_epoch_seconds": epochs.first_ended - epochs.first_began,
        "startup_seconds": epochs.first_ended - STARTED,
        "final_train_accuracy": accuracies[-1],
        "best_train_accuracy": max(accuracies),
        "test_accuracy": float(tested.accuracy) * 100,
        "test_loss": float(tested.loss),
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def environment(cores: int) -> Dict[str, Any]:
    """Return facts about this process, without those that the release does not expose."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    facts = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
        "keras": keras_version(),
        "distribution": distribution(),
        "tensorflow_git": tf.__git_version__.replace("b'", "").rstrip("'"),  # 1.13 prints bytes
        "compiler": tf.__compiler_version__,
        "eager": runs_eagerly(),
        "cores": cores,
        "intra_op_threads": cores,
        "inter_op_threads": cores,
        "threads": next(int(line.split()[1]) for line in status if line.startswith("Threads:")),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def distribution() -> Optional[str]:
    """Return the distribution that installed this TensorFlow; None if it left no trace."""
    packages = Path(tf.__file__).parent.parent
    for name in ("tensorflow-cpu", "tensorflow"):
        if list(packages.glob(f"{name.replace('-', '_')}-{tf.__version__}*.dist-info")):
            return name
    return None


if __name__ == "__main__":
    main()
