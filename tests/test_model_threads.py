"""Models that are copied, that share layers, or that several threads use; steps that fail."""

import copy
import pickle
import threading

import numpy as np
import pytest

from fastrnn import callbacks, layers, optimizers
from fastrnn.errors import ShapeError, StateError
from fastrnn.models import Model, Sequential
from model_cases import B, I, T, compiled, data, same, weights


def test_pickle_and_copy_go_on_training_alike():
    x, y = data(B, T, I), data(B, 1)
    model = compiled()
    model.fit(x, y, epochs=2, verbose=0)
    twins = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for twin in twins:
        twin.fit(x, y, epochs=2, shuffle=False, verbose=0)
        same(weights(model), weights(twin))


def test_two_threads_may_predict_but_not_fit():
    model = compiled()
    x, y = data(64, T, I), data(64, 1)
    expected = model.predict(x, verbose=0)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(model.predict(x, verbose=0)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)
    inside = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.fit(x, y, verbose=0))
    with pytest.raises(StateError, match="already running"):
        model.fit(x, y, callbacks=[inside], verbose=0)
    model.fit(x, y, verbose=0)


def started(*actions):
    """Run functions in threads that begin at the same time; return their results, or raise."""
    gate = threading.Barrier(len(actions))
    results, errors = [None] * len(actions), []

    def run(at, act):
        try:
            gate.wait()
            results[at] = act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_threads_that_predict_first_pack_the_weights_at_once():
    x = data(8, T, I)
    for seed in range(20):
        stack = [layers.GRU(6, return_sequences=True, seed=seed), layers.LSTM(5, seed=seed)]
        model = Sequential([layers.Input((T, I)), *stack, layers.Dense(2, seed=seed)])
        twin = pickle.loads(pickle.dumps(model))
        found = started(*[lambda m=model: m.predict(x, verbose=0)] * 4)
        for y in found:
            np.testing.assert_array_equal(y, twin.predict(x, verbose=0))


@pytest.mark.parametrize("options", [{}, {"tbptt_steps": 2}])
def test_one_thread_predicts_while_another_fits(options):
    """With nothing learned, predictions stay what they are; and training is what it is alone."""
    x, y = data(64, T, I), data(64, T, 1)
    for rate in (0.0, 0.1):
        alone, model = (compiled(sequences=True, optimizer=optimizers.SGD(rate)) for _ in range(2))
        expected = model.predict(x, verbose=0)
        fitting = {"epochs": 5, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
        alone.fit(x, y, **fitting)
        _, found = started(
            lambda m=model, f=fitting: m.fit(x, y, **f),
            lambda m=model: [m.predict(x, verbose=0) for _ in range(50)],
        )
        same(weights(alone), weights(model))
        assert all(np.isfinite(p).all() for p in found)
        if rate == 0:
            same(found, [expected] * 50)


def test_two_models_share_layers_and_their_training():
    inputs = layers.Input((T, I))
    encoder = layers.GRU(4, seed=1)
    code = encoder(inputs)
    first = Model(inputs, layers.Dense(1, seed=2)(code))
    second = Model(inputs, layers.Dense(2, seed=3)(code))
    first.compile("adam", "mse")
    second.compile("adam", "mse")
    x = data(B, T, I)
    for _ in range(2):
        first.fit(x, data(B, 1), verbose=0)
        before = second.predict(x, verbose=0)
        second.fit(x, data(B, 2), verbose=0)
        assert (second.predict(x, verbose=0) != before).all()
    np.testing.assert_array_equal(
        first.get_layer("gru" if encoder.name == "gru" else encoder.name).get_weights()[0],
        second.layers[1].get_weights()[0],
    )


def test_a_failed_step_leaves_no_tapes_behind():
    model = compiled()
    x, y = data(B, T, I), data(B, 1)
    twin = compiled()
    with pytest.raises(ShapeError):
        model.train_on_batch(x, data(B, 3))
    model.train_on_batch(x, y)
    twin.train_on_batch(x, y)
    same(weights(model), weights(twin))
