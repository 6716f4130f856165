"""Keras's other names of things: what `from keras.regularizers import l2` and its like become."""

import importlib

import pytest

SAME = {
    "regularizers": "l1=L1 l2=L2 l1_l2=L1L2 orthogonal_regularizer=OrthogonalRegularizer",
    "constraints": "max_norm=MaxNorm min_max_norm=MinMaxNorm non_neg=NonNeg unit_norm=UnitNorm",
    "initializers": "zeros=Zeros ones=Ones constant=Constant identity=Identity orthogonal=Orthogonal "
    "random_normal=RandomNormal random_uniform=RandomUniform truncated_normal=TruncatedNormal "
    "variance_scaling=VarianceScaling glorot_normal=GlorotNormal glorot_uniform=GlorotUniform "
    "he_normal=HeNormal he_uniform=HeUniform lecun_normal=LecunNormal lecun_uniform=LecunUniform "
    "IdentityInitializer=Identity OrthogonalInitializer=Orthogonal",
    "layers": "GlobalAvgPool1D=GlobalAveragePooling1D GlobalMaxPool1D=GlobalMaxPooling1D",
}


@pytest.mark.parametrize(
    ("room", "other", "name"),
    [(room, *pair.split("=")) for room, pairs in SAME.items() for pair in pairs.split()],
)
def test_other_names(room, other, name):
    module = importlib.import_module(f"fastrnn.{room}")
    assert getattr(module, other) is getattr(module, name)
    assert {other, name} <= set(module.__all__)


def test_other_names_in_a_layer():
    from fastrnn.constraints import max_norm
    from fastrnn.initializers import he_uniform, orthogonal
    from fastrnn.layers import LSTM
    from fastrnn.regularizers import l1_l2, l2

    layer = LSTM(
        4,
        kernel_initializer=he_uniform(seed=1),
        recurrent_initializer=orthogonal,
        kernel_regularizer=l2(0.01),
        recurrent_regularizer=l1_l2(l1=1e-5, l2=1e-4),
        kernel_constraint=max_norm(3),
        input_shape=(5, 3),
    )
    config = layer.get_config()
    assert config["kernel_regularizer"] == {"class_name": "L2", "config": {"l2": 0.01}}
    assert config["recurrent_regularizer"]["config"] == {"l1": 1e-5, "l2": 1e-4}
    assert config["kernel_constraint"]["config"]["max_value"] == 3
    assert LSTM.from_config(config).get_config() == config


def test_homes_of_older_scripts():
    from fastrnn import preprocessing, utils

    assert preprocessing.sequence.pad_sequences is utils.pad_sequences
    assert preprocessing.timeseries_dataset_from_array is utils.timeseries_dataset_from_array


def test_layers_and_models_print_as_keras_prints_them():
    from fastrnn import Sequential
    from fastrnn.layers import LSTM, Bidirectional, Dense

    model = Sequential([Bidirectional(LSTM(2), name="both"), Dense(1, name="last")], name="all")
    assert [repr(one) for one in (model, *model.layers)] == [
        "<Sequential name=all, built=False>",
        "<Bidirectional name=both, built=False>",
        "<Dense name=last, built=False>",
    ]
    model.build((None, 4, 3))
    assert repr(model) == "<Sequential name=all, built=True>"
