"""Train one softmax layer on MNIST and measure every epoch, on TensorFlow 1.4 to 2.21.

Needs Python 3.6 to 3.13, numpy and tensorflow. ``docs/experiments.md`` describes the models, the
other parameters and the results.
"""

import logging
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import Any, List, Tuple

import trial

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # show only errors
logging.getLogger("tensorflow").setLevel(logging.ERROR)
warnings.simplefilter("ignore")  # old releases use features that they deprecate

import numpy as np  # noqa: E402 - STARTED must come before the imports
import tensorflow as tf  # noqa: E402

layers, models = tf.keras.layers, tf.keras.models  # newer releases import Keras only on access
IMPORTED = time.perf_counter()

if trial.matched:  # every version starts with the same weights
    import matched

    INITIAL_WEIGHTS = [matched.weights("kernel", (28 * 28, 10)), np.zeros(10, "float32")]

MODEL, EPOCHS, BATCH = (trial.parameters[name] for name in ("model", "epochs", "batch"))

Array = Any  # an array or a tensor; the types differ between releases
Samples = Tuple[Array, Array]  # images (float32, from 0 to 1) and labels (int64, from 0 to 9)
Tested = Tuple[float, float]  # loss and accuracy (from 0 to 1) on the test set


def main() -> None:
    """Train and test the requested model, and record the measurements."""
    if MODEL not in TRAIN:
        sys.exit(f"The model {MODEL!r} is unknown; choose one of {', '.join(TRAIN)}.")
    cores = len(os.sched_getaffinity(0))
    configure(cores)
    set_seed(trial.seed % 2**31)  # every release accepts this range
    training, test = read_mnist("train"), read_mnist("test")
    epochs = Epochs(samples=len(training[0]))
    test_loss, test_accuracy = TRAIN[MODEL](training, test, epochs)
    trial.record(
        import_seconds=IMPORTED - STARTED,
        final_train_accuracy=epochs.accuracies[-1],
        best_train_accuracy=max(epochs.accuracies),
        test_accuracy=float(test_accuracy) * 100,
        test_loss=float(test_loss),
    )
    describe(cores)


# --- all differences between the releases, and the release in which each one changed -------------

RELEASE = tuple(int(part) for part in tf.__version__.split(".")[:2])
ACCURACY_KEY = "accuracy" if RELEASE >= (2, 0) else "acc"
KEEP_DIMENSIONS = {"keepdims" if RELEASE >= (1, 5) else "keep_dims": True}
RESET = "reset_state" if RELEASE >= (2, 5) else "reset_states"


def configure(cores: int) -> None:
    """Set the number of threads in the way this release obeys; switch on eager mode if needed."""
    eager = MODEL == "subclassed" and (1, 14) <= RELEASE < (2, 0)
    if eager:
        trial.adapted("Eager execution is switched on first. From 2.0 on, it is the default.")
        tf.compat.v1.enable_eager_execution()  # before threads, or graph mode stays
    if eager or RELEASE >= (1, 15):
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    else:  # 1.14 also accepts tf.config.threading, but ``fit`` ignores it
        config = tf.ConfigProto(
            intra_op_parallelism_threads=cores, inter_op_parallelism_threads=cores
        )
        tf.keras.backend.set_session(tf.Session(config=config))


def set_seed(seed: int) -> None:
    """Make the initial weights and the order of the samples repeatable."""
    np.random.seed(seed)  # noqa: NPY002 - ``fit`` shuffles with the global generator
    (tf.random.set_seed if RELEASE >= (2, 0) else tf.set_random_seed)(seed)
    if RELEASE >= (2, 7):
        tf.keras.utils.set_random_seed(seed)  # from 2.10 on, Keras has its own generator


def describe(cores: int) -> None:
    """Describe this process, which shows in which way this release ran."""
    keras = sys.modules.get("keras")  # 2.13 to 2.15 have the version only there, 1.8 nowhere
    trial.describe(
        python=platform.python_version(),
        numpy=np.__version__,
        tensorflow=tf.__version__,
        keras=getattr(tf.keras, "__version__", None) or getattr(keras, "__version__", "unknown"),
        tensorflow_git=tf.__git_version__.replace("b'", "").rstrip("'"),  # 1.13 prints bytes
        compiler=tf.__compiler_version__,
        eager=RELEASE >= (1, 7) and bool(tf.executing_eagerly()),
        cores=cores,
        intra_op_threads=cores,
        inter_op_threads=cores,
        threads=len(list(Path("/proc/self/task").iterdir())),
    )
    if trial.matched:
        trial.describe(matched=matched.digest())


def read_mnist(name: str) -> Samples:
    """Return the training set or the test set."""
    with np.load(trial.data("mnist.npz")) as arrays:
        return arrays["x_" + name].astype("float32") / 255, arrays["y_" + name].astype("int64")


class Epochs(tf.keras.callbacks.Callback):  # type: ignore[misc] # tensorflow has no types
    """Measures and records every epoch, as a callback of ``fit`` or in a loop."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.accuracies: List[float] = []
        self.clock = trial.timed("epoch_seconds")
        self.created = self.began = time.perf_counter()

    def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
        """Start the clock."""
        self.began = time.perf_counter()
        self.clock.start()

    def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
        """Stop the clock, then record the numbers of Keras's progress bar."""
        self.clock.stop()
        self.record(logs["loss"], logs[ACCURACY_KEY])

    def record(self, loss: float, accuracy: float) -> None:
        """Record an epoch with its loss and accuracy (from 0 to 1), and print a line."""
        seconds, percent = self.clock.seconds, float(accuracy) * 100
        if not self.accuracies:
            trial.record(
                build_seconds=self.began - self.created,
                first_epoch_seconds=seconds,
                startup_seconds=self.began + seconds - STARTED,
            )
        trial.record(  # lists, because a single epoch is a series, too
            epoch_cpu_seconds=[self.clock.cpu_seconds],
            us_per_sample=[seconds / self.samples * 1e6],
            loss=[float(loss)],
            train_accuracy=[percent],
        )
        self.accuracies.append(percent)
        done = f"epoch {len(self.accuracies)}/{EPOCHS}  loss {float(loss):.4f}"
        print(f"{done}  train accuracy {percent:.2f} %  {seconds:.2f} s", flush=True)


def fit(training: Samples, test: Samples, epochs: Epochs) -> Tested:
    """Train and test a Keras model with Keras's own loop."""
    model = keras_model()
    adam = tf.keras.optimizers.Adam()
    model.compile(adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    if trial.matched:
        model.set_weights(INITIAL_WEIGHTS)
        for epoch in range(EPOCHS):
            samples = ordered(training, epoch)
            model.fit(*samples, BATCH, 1, verbose=0, callbacks=[epochs], shuffle=False)
    else:
        model.fit(*training, BATCH, EPOCHS, verbose=0, callbacks=[epochs])
    loss, accuracy = model.evaluate(*test, verbose=0)
    return loss, accuracy


def keras_model() -> Any:
    """Return the layers as a ``Sequential``, or as a ``Model`` with inputs and outputs."""
    dense = layers.Dense(10, activation="softmax")
    if MODEL == "sequential":
        return models.Sequential([layers.Flatten(input_shape=(28, 28)), dense])
    inputs = tf.keras.Input(shape=(28, 28))
    return models.Model(inputs, dense(layers.Flatten()(inputs)))


def ordered(training: Samples, epoch: int) -> Samples:
    """Return the training set in the order that every version uses in an epoch, in matched mode."""
    order = matched.order(epoch, len(training[0]))
    return training[0][order], training[1][order]


def train_in_loop(training: Samples, test: Samples, epochs: Epochs) -> Tested:
    """Train the subclassed model as published, with a loop around a ``tf.function``."""
    model = SoftmaxModel()
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
    batches = in_batches(training)
    if trial.matched:
        model.dense.build((None, 28 * 28))
        model.dense.set_weights(INITIAL_WEIGHTS)
    for epoch in range(EPOCHS):
        if trial.matched:
            batches = in_batches(ordered(training, epoch))
        epochs.on_epoch_begin(epoch)
        getattr(mean_loss, RESET)()
        getattr(accuracy, RESET)()
        for images, labels in batches:
            traced_step(images, labels)
        epochs.clock.stop()
        epochs.record(mean_loss.result(), accuracy.result())
    images, labels = test
    predictions = model(images)
    getattr(accuracy, RESET)()
    accuracy(labels, predictions)
    return loss_of(labels, predictions), accuracy.result()


class SoftmaxModel(tf.keras.models.Model):  # type: ignore[misc] # tensorflow has no types
    """The published model."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = layers.Flatten()
        self.dense = layers.Dense(10)

    # 1.7 to 1.10 reject a ``call`` with annotations.
    def call(self, inputs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        """Return the probabilities."""
        return softmax(self.dense(self.flatten(inputs)))


def train_in_session(training: Samples, test: Samples, epochs: Epochs) -> Tested:
    """Train the layer of the subclassed model as a graph, before 1.14."""
    trial.adapted(
        "A session runs the same layer, loss, optimizer and input pipeline as a graph: this "
        "release has no tf.function, so the loop is not the one that later releases run."
    )
    holders = tuple(tf.placeholder(array.dtype, array.shape) for array in training)
    iterator = in_batches(holders).repeat().make_initializable_iterator()
    images, labels = iterator.get_next()
    dense = layers.Dense(10)
    predictions = softmax(dense(tf.reshape(images, [-1, 28 * 28])))
    loss = tf.reduce_mean(tf.keras.backend.sparse_categorical_crossentropy(labels, predictions))
    hits = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(predictions, 1), labels), tf.float32))
    step = tf.train.AdamOptimizer(epsilon=1e-7).minimize(loss)  # as in Keras's Adam
    session = tf.keras.backend.get_session()
    session.run(tf.global_variables_initializer())
    session.run(iterator.initializer, dict(zip(holders, training)))
    if trial.matched:
        dense.set_weights(INITIAL_WEIGHTS)
    steps = -(-epochs.samples // BATCH)
    for epoch in range(EPOCHS):
        if trial.matched:
            session.run(iterator.initializer, dict(zip(holders, ordered(training, epoch))))
        epochs.on_epoch_begin(epoch)
        measured = [session.run([loss, hits, step]) for _ in range(steps)]
        epochs.clock.stop()
        losses, all_hits, _nothing = zip(*measured)
        epochs.record(np.mean(losses), sum(all_hits) / epochs.samples)
    test_loss, test_hits = session.run([loss, hits], dict(zip((images, labels), test)))
    return test_loss, test_hits / len(test[0])


def softmax(logits: Array) -> Array:
    """Return the probabilities of each row, computed as in the article."""
    powers = tf.exp(logits - tf.reduce_max(logits, axis=1, **KEEP_DIMENSIONS))
    return powers / tf.reduce_sum(powers, axis=1, **KEEP_DIMENSIONS)


def in_batches(training: Samples) -> Any:
    """Return samples in batches; shuffled within 1,024 samples, but as they are if matched."""
    dataset = tf.data.Dataset.from_tensor_slices(training)
    return (dataset if trial.matched else dataset.shuffle(1024)).batch(BATCH)


TRAIN = {
    "sequential": fit,
    "functional": fit,
    "subclassed": train_in_loop if RELEASE >= (1, 14) else train_in_session,
    "subclassed-as-published": train_in_loop,
}

if __name__ == "__main__":
    main()
