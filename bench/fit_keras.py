"""The Keras side of `fit.py`: runs under the interpreter that has Keras, told by lines on standard input.

    python fit_keras.py DATA.npz THREADS BATCH

"check" trains an epoch in the order of the samples and prints its loss; "epoch" prints the seconds
of the second epoch of a `fit`, the first having set everything up.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


class Clock:
    """The seconds of the last epoch."""

    def begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start


def main():
    path, threads, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    with np.load(path) as data:
        x, y = data["x"], data["y"]
        weights = [data[f"weight{k}"] for k in range(5)]
    model = keras.Sequential(
        [
            keras.layers.Input(x.shape[1:]),
            keras.layers.LSTM(weights[1].shape[0], activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    model.set_weights(weights)
    clock = Clock()
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=clock.begin, on_epoch_end=clock.end)
    print(f"keras {keras.__version__}, tensorflow {tf.__version__}", flush=True)
    for line in sys.stdin:
        checking = line.strip() == "check"
        history = model.fit(
            x[: 16 * batch] if checking else x,
            y[: 16 * batch] if checking else y,
            batch_size=batch,
            epochs=1 if checking else 2,
            shuffle=not checking,
            verbose=0,
            callbacks=[watch],
        )
        print(history.history["loss"][0] if checking else clock.seconds, flush=True)


if __name__ == "__main__":
    main()
