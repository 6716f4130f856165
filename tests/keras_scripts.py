"""Scripts that run in Keras and in fastrnn alike: each takes the module `k`, one or the other.

A script returns (model, x, y, options of fit). The models are compiled; data come from a fixed seed. Nothing random
happens in them: no dropout, and fit does not shuffle.
"""

import numpy as np

SCRIPTS = {}

B, T, I = 12, 6, 3


def script(function):
    SCRIPTS[function.__name__] = function
    return function


def rounded(array):
    """As float64, but float32 can hold the numbers: Keras's torch backend passes all data through float32."""
    return np.asarray(array, np.float32).astype(np.float64)


def data(*shape, seed=0):
    return rounded(np.random.default_rng(seed).normal(size=shape))


# Keras on TensorFlow squares the parts of an embedding's gradient before it sums those of one row, so that Adam's steps
# differ from those of its other backends and ours: embeddings are compared under plain descent.
PLAIN = {"optimizer": "sgd"}


def ids(*shape, high=7, seed=0):
    return np.random.default_rng(seed).integers(0, high, size=shape)


def with_padding(x, left=False):
    """Zero steps at the end of each row (or at its beginning), a hole in one row, one row all masked."""
    x = x.copy()
    for row, n in enumerate(np.random.default_rng(1).integers(1, x.shape[1] + 1, size=len(x))):
        if left:
            x[row, : x.shape[1] - n] = 0
        else:
            x[row, n:] = 0
    x[0] = data(*x.shape[1:], seed=9)
    x[0, 2] = 0
    return x


def regression(k, *layers, optimizer="adam", loss="mse", x=None, y=None, **options):
    x = data(B, T, I) if x is None else x
    model = k.Sequential([k.layers.Input(x.shape[1:]), *layers])
    model.compile(optimizer=optimizer, loss=loss)
    shape = model.output_shape[1:]
    y = data(B, *(n or T for n in shape), seed=1) if y is None else y
    return model, x, y, options


@script
def lstm_dense(k):
    return regression(k, k.layers.LSTM(5), k.layers.Dense(1))


@script
def the_snippet_of_the_issue(k):
    LSTM, Dense, Sequential = k.layers.LSTM, k.layers.Dense, k.models.Sequential
    n_timesteps, n_features = T, I
    model = Sequential()
    model.add(LSTM(50, activation="relu", input_shape=(n_timesteps, n_features)))
    model.add(Dense(1))
    model.compile(optimizer="adam", loss="mse")
    return model, data(B, T, I), data(B, 1, seed=1), {}


@script
def simple_rnn_stack(k):
    L = k.layers
    return regression(
        k,
        L.SimpleRNN(5, return_sequences=True, activation="relu"),
        L.SimpleRNN(4, use_bias=False),
        L.Dense(2, activation="tanh"),
    )


@script
def gru_reset_after_and_before(k):
    L = k.layers
    return regression(
        k,
        L.GRU(5, return_sequences=True),
        L.GRU(4, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid"),
        L.TimeDistributed(L.Dense(2)),
        optimizer="rmsprop",
    )


@script
def other_activations(k):
    L = k.layers
    return regression(
        k,
        L.LSTM(
            4, activation="softsign", recurrent_activation="hard_sigmoid", return_sequences=True
        ),
        L.LSTM(4, activation="gelu", recurrent_activation="sigmoid", return_sequences=True),
        L.GRU(4, activation="elu", return_sequences=True),
        L.SimpleRNN(4, activation="selu", return_sequences=True),
        L.SimpleRNN(4, activation="silu", return_sequences=True),
        L.SimpleRNN(4, activation="softplus"),
        L.Dense(3, activation="leaky_relu"),
        optimizer=k.optimizers.SGD(0.01),
    )


@script
def go_backwards(k):
    L = k.layers
    return regression(
        k, L.LSTM(4, go_backwards=True, return_sequences=True), L.GRU(3, go_backwards=True)
    )


@script
def masking_right(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.LSTM(4, return_sequences=True),
        L.GRU(3),
        L.Dense(1),
        x=with_padding(data(B, T, I)),
    )


@script
def masking_left_zero_output(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.LSTM(4, return_sequences=True, zero_output_for_mask=True),
        L.SimpleRNN(3, return_sequences=True),
        x=with_padding(data(B, T, I), left=True),
    )


@script
def masking_go_backwards(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.GRU(4, return_sequences=True, go_backwards=True),
        x=with_padding(data(B, T, I)),
    )


@script
def embedding_mask_zero(k):
    L = k.layers
    x = ids(B, T)
    x[:, 4:] = 0
    model = k.Sequential(
        [
            L.Input((T,)),
            L.Embedding(7, 4, mask_zero=True),
            L.LSTM(5),
            L.Dense(3, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], **PLAIN)
    return model, x, ids(B, high=3, seed=2), {}


@script
def embedding_sequences(k):
    L = k.layers
    model = k.Sequential(
        [
            L.Input((None,)),
            L.Embedding(7, 4),
            L.GRU(5, return_sequences=True),
            L.Dense(7, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], **PLAIN)
    return model, ids(B, T), ids(B, T, seed=2), {}


def bidirectional(k, mode, **options):
    L = k.layers
    x = with_padding(data(B, T, I))
    inputs = L.Input((T, I))
    h = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=mode)(L.Masking()(inputs))
    h = h if mode else L.Concatenate()(h)
    outputs = L.Dense(2)(L.Bidirectional(L.GRU(3))(h))
    model = k.Model(inputs, outputs)
    model.compile("adam", "mse")
    return model, x, data(B, 2, seed=1), {}


@script
def bidirectional_concat(k):
    return bidirectional(k, "concat")


@script
def bidirectional_sum(k):
    return bidirectional(k, "sum")


@script
def bidirectional_mul(k):
    return bidirectional(k, "mul")


@script
def bidirectional_ave(k):
    return bidirectional(k, "ave")


@script
def bidirectional_none(k):
    return bidirectional(k, None)


@script
def bidirectional_backward_layer(k):
    L = k.layers
    both = L.Bidirectional(L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True))
    return regression(k, both, L.Dense(1))


@script
def stateful(k):
    L = k.layers
    model = k.Sequential(
        [
            L.Input(batch_shape=(4, T, I)),
            L.LSTM(4, stateful=True, return_sequences=True),
            L.GRU(3, stateful=True),
        ]
    )
    model.compile("adam", "mse")
    return model, data(B, T, I), data(B, 3, seed=1), {"batch_size": 4}


@script
def encoder_decoder_with_attention(k):
    L = k.layers
    source, target = L.Input((None,), name="source"), L.Input((None,), name="target")
    embedded = L.Embedding(7, 4, mask_zero=True)(source)
    encoded, h, c = L.LSTM(5, return_sequences=True, return_state=True)(embedded)
    decoded = L.LSTM(5, return_sequences=True)(L.Embedding(7, 4)(target), initial_state=[h, c])
    context = L.Attention()([decoded, encoded])
    outputs = L.Dense(7, activation="softmax")(L.Concatenate()([decoded, context]))
    model = k.Model([source, target], outputs)
    model.compile(loss="sparse_categorical_crossentropy", **PLAIN)
    x = ids(B, T)
    x[:, 4:] = 0
    return model, [x, ids(B, 5, seed=3)], ids(B, 5, seed=4), {}


@script
def additive_attention(k):
    L = k.layers
    inputs = L.Input((T, I))
    h = L.GRU(4, return_sequences=True)(inputs)
    pooled = L.GlobalAveragePooling1D()(L.AdditiveAttention()([h, h]))
    model = k.Model(inputs, L.Dense(1)(pooled))
    model.compile("adam", "mse")
    return model, data(B, T, I), data(B, 1, seed=1), {}


@script
def two_outputs_shared_layer(k):
    L = k.layers
    a, b = L.Input((T, I), name="a"), L.Input((T, I), name="b")
    shared = L.LSTM(4, name="shared")
    left, right = shared(a), shared(b)
    together = L.Dense(1, name="sum")(L.Add()([left, right]))
    apart = L.Dense(3, activation="softmax", name="class")(L.Subtract()([left, right]))
    model = k.Model([a, b], [together, apart])
    model.compile(
        "adam",
        {"sum": "mse", "class": "categorical_crossentropy"},
        loss_weights={"sum": 0.5, "class": 2.0},
        metrics={"sum": ["mae"], "class": ["accuracy"]},
    )
    classes = np.eye(3)[ids(B, high=3, seed=5)]
    return model, [data(B, T, I), data(B, T, I, seed=2)], [data(B, 1, seed=1), classes], {}


@script
def merges(k):
    L = k.layers
    inputs = L.Input((T, I))
    a, b = L.GRU(4)(inputs), L.SimpleRNN(4)(inputs)
    parts = [L.Multiply()([a, b]), L.Average()([a, b]), L.Maximum()([a, b]), L.Dot(axes=1)([a, b])]
    model = k.Model(inputs, L.Dense(1)(L.Concatenate()(parts)))
    model.compile("adam", "mse")
    return model, data(B, T, I), data(B, 1, seed=1), {}


@script
def shapes(k):
    L = k.layers
    return regression(
        k,
        L.Permute((2, 1)),
        L.Reshape((T, I)),
        L.LSTM(4),
        L.RepeatVector(3),
        L.GRU(4, return_sequences=True),
        L.Flatten(),
        L.Activation("relu"),
        L.Dense(2),
    )


@script
def batch_normalization_masked(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.LSTM(4, return_sequences=True),
        L.BatchNormalization(momentum=0.8),
        L.LSTM(3),
        x=with_padding(data(B, T, I)),
    )


@script
def layer_normalization(k):
    L = k.layers
    return regression(
        k, L.LSTM(4, return_sequences=True), L.LayerNormalization(), L.GRU(3), L.Dense(1)
    )


@script
def pooling(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.GRU(4, return_sequences=True),
        L.GlobalAveragePooling1D(),
        L.Dense(1),
        x=with_padding(data(B, T, I)),
    )


@script
def max_pooling(k):
    L = k.layers
    return regression(k, L.GRU(4, return_sequences=True), L.GlobalMaxPooling1D(), L.Dense(1))


@script
def regularizers_and_constraints(k):
    L = k.layers
    return regression(
        k,
        L.LSTM(
            4,
            kernel_regularizer="l2",
            recurrent_regularizer=k.regularizers.L1(0.001),
            bias_regularizer=k.regularizers.L1L2(0.01, 0.02),
            activity_regularizer=k.regularizers.L2(0.05),
            kernel_constraint=k.constraints.MaxNorm(0.8),
            return_sequences=True,
        ),
        L.GRU(3, recurrent_constraint="unit_norm", bias_constraint="non_neg"),
        L.Dense(1, kernel_regularizer="l1", kernel_constraint=k.constraints.MinMaxNorm(0.2, 0.9)),
    )


@script
def penalties_of_inner_layers(k):
    """Activities within a nested model and within Bidirectional count in training and in testing."""
    L = k.layers
    inner = k.Sequential(
        [L.Input((T, I)), L.LSTM(4, return_sequences=True, activity_regularizer="l2")]
    )
    both = L.Bidirectional(L.GRU(3, activity_regularizer="l1"))
    return regression(k, inner, both, L.Dense(1), validation_split=0.25)


@script
def masked_loss(k):
    L = k.layers
    return regression(
        k,
        L.Masking(),
        L.LSTM(4, return_sequences=True),
        L.Dense(2),
        x=with_padding(data(B, T, I)),
    )


@script
def sample_weights_per_step(k):
    L = k.layers
    weight = rounded(np.random.default_rng(3).uniform(0, 2, size=(B, T)))
    return regression(
        k, L.LSTM(4, return_sequences=True), L.Dense(2), sample_weight=weight, batch_size=5
    )


@script
def class_weights(k):
    L = k.layers
    model = k.Sequential([L.Input((T, I)), L.LSTM(4), L.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mse"])
    return model, data(B, T, I), ids(B, high=2), {"class_weight": {0: 1.0, 1: 3.0}}


@script
def frozen_layer(k):
    L = k.layers
    first = L.LSTM(4, return_sequences=True)
    first.trainable = False
    return regression(k, first, L.BatchNormalization(), L.GRU(3), L.Dense(1))


@script
def nested_models(k):
    L = k.layers
    inner = k.Sequential([L.Input((T, I)), L.LSTM(4, return_sequences=True), L.Dense(3)])
    inputs = L.Input((T, I))
    model = k.Model(inputs, L.GRU(2)(L.Add()([inner(inputs), inputs])))
    model.compile("adam", "mse")
    return model, data(B, T, I), data(B, 2, seed=1), {}


@script
def validation(k):
    L = k.layers
    return regression(
        k, L.LSTM(4), L.Dense(1), validation_split=0.25, validation_freq=2, batch_size=4
    )


@script
def early_stopping(k):
    L = k.layers
    stop = k.callbacks.EarlyStopping(patience=1, min_delta=0.02, restore_best_weights=True)
    return regression(
        k,
        L.LSTM(4),
        L.Dense(1),
        validation_split=0.25,
        callbacks=[stop],
        optimizer=k.optimizers.SGD(0.5),
    )


@script
def reduce_lr_on_plateau(k):
    L = k.layers
    slower = k.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=0.5, factor=0.3)
    return regression(k, L.LSTM(4), L.Dense(1), callbacks=[slower])


@script
def learning_rate_scheduler(k):
    L = k.layers
    rate = k.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)
    return regression(k, L.LSTM(4), L.Dense(1), callbacks=[rate], batch_size=4)


def scheduled(k, schedule, optimizer="SGD"):
    L = k.layers
    optimizer = getattr(k.optimizers, optimizer)(schedule)
    return regression(k, L.LSTM(4), L.Dense(1), optimizer=optimizer, batch_size=4)


@script
def schedule_exponential(k):
    return scheduled(k, k.optimizers.schedules.ExponentialDecay(0.1, 4, 0.7))


@script
def schedule_piecewise(k):
    return scheduled(k, k.optimizers.schedules.PiecewiseConstantDecay([3, 7], [0.1, 0.05, 0.01]))


@script
def schedule_polynomial(k):
    return scheduled(k, k.optimizers.schedules.PolynomialDecay(0.1, 10, 0.001, power=2.0))


@script
def schedule_inverse_time(k):
    return scheduled(k, k.optimizers.schedules.InverseTimeDecay(0.1, 4, 0.5, staircase=True))


@script
def schedule_cosine(k):
    decay = k.optimizers.schedules.CosineDecay(
        0.01, 10, alpha=0.1, warmup_target=0.1, warmup_steps=4
    )
    return scheduled(k, decay, "Adam")


@script
def schedule_cosine_restarts(k):
    return scheduled(k, k.optimizers.schedules.CosineDecayRestarts(0.1, 5), "RMSprop")


def optimized(k, optimizer):
    L = k.layers
    return regression(k, L.LSTM(4), L.Dense(1), optimizer=optimizer, batch_size=5)


@script
def sgd_momentum_clipnorm(k):
    return optimized(k, k.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.3))


@script
def adam_global_clipnorm_decay(k):
    return optimized(k, k.optimizers.Adam(0.01, global_clipnorm=0.5, weight_decay=0.01))


@script
def adamw_clipvalue(k):
    return optimized(k, k.optimizers.AdamW(0.01, clipvalue=0.05))


@script
def rmsprop_centered(k):
    return optimized(k, k.optimizers.RMSprop(0.01, momentum=0.5, centered=True))


@script
def nadam_accumulation(k):
    return optimized(k, k.optimizers.Nadam(0.01, gradient_accumulation_steps=2))


@script
def adagrad_ema(k):
    return optimized(k, k.optimizers.Adagrad(0.1, use_ema=True, ema_momentum=0.9))


@script
def adamax(k):
    return optimized(k, "adamax")


@script
def adadelta(k):
    return optimized(k, k.optimizers.Adadelta(1.0))


@script
def ftrl(k):
    return optimized(k, k.optimizers.Ftrl(0.1, l1_regularization_strength=0.01))


def lossy(k, loss, y, activation=None, units=3, **options):
    L = k.layers
    model = k.Sequential([L.Input((T, I)), L.LSTM(4), L.Dense(units, activation=activation)])
    model.compile("adam", loss, **options)
    return model, data(B, T, I), y, {"batch_size": 5}


POSITIVE = {
    "activation": "softplus",
    "y": rounded(np.random.default_rng(4).uniform(0.1, 2, size=(B, 3))),
}
SIGNS = {"activation": "tanh", "y": np.sign(data(B, 3, seed=6))}
REGRESSION = {"y": data(B, 3, seed=1)}
BINARY = {"activation": "sigmoid", "y": ids(B, 3, high=2).astype(float)}
SHARES = {
    "activation": "softmax",
    "y": rounded(np.random.default_rng(4).dirichlet(np.ones(3), size=B)),
}
ONE_HOT = {"activation": "softmax", "y": np.eye(3)[ids(B, high=3)]}
LABELS = {"activation": "softmax", "y": ids(B, high=3)}

LOSSES = {
    "mean_absolute_error": ("MeanAbsoluteError", {}, REGRESSION),
    "mean_absolute_percentage_error": ("MeanAbsolutePercentageError", {}, POSITIVE),
    "mean_squared_logarithmic_error": ("MeanSquaredLogarithmicError", {}, POSITIVE),
    "huber": ("Huber", {"delta": 0.7}, REGRESSION),
    "log_cosh": ("LogCosh", {}, REGRESSION),
    "binary_crossentropy": ("BinaryCrossentropy", {"label_smoothing": 0.1}, BINARY),
    "binary_crossentropy_logits": (
        "BinaryCrossentropy",
        {"from_logits": True},
        {**BINARY, "activation": None},
    ),
    "categorical_crossentropy": ("CategoricalCrossentropy", {"label_smoothing": 0.2}, ONE_HOT),
    "categorical_crossentropy_logits": (
        "CategoricalCrossentropy",
        {"from_logits": True},
        {**ONE_HOT, "activation": None},
    ),
    "sparse_categorical_crossentropy": ("SparseCategoricalCrossentropy", {}, LABELS),
    "sparse_categorical_crossentropy_ignore": (
        "SparseCategoricalCrossentropy",
        {"from_logits": True, "ignore_class": 1},
        {**LABELS, "activation": None},
    ),
    "kl_divergence": ("KLDivergence", {}, SHARES),
    "poisson": ("Poisson", {}, POSITIVE),
    "hinge": ("Hinge", {}, SIGNS),
    "cosine_similarity": ("CosineSimilarity", {}, REGRESSION),
    "mse_sum": ("MeanSquaredError", {"reduction": "sum"}, REGRESSION),
}


def _add_loss(name, cls, arguments, case):
    def loss_script(k):
        return lossy(k, getattr(k.losses, cls)(**arguments), **case)

    SCRIPTS[f"loss_{name}"] = loss_script


for _name, (_cls, _arguments, _case) in LOSSES.items():
    _add_loss(_name, _cls, _arguments, _case)


@script
def metrics_regression(k):
    names = ["mse", "mae", "mape", k.metrics.RootMeanSquaredError(), k.metrics.R2Score()]
    return lossy(k, "mse", **REGRESSION, metrics=names)


@script
def metrics_binary(k):
    m = k.metrics
    several = ["accuracy", m.AUC(), m.Precision(), m.Recall(), m.BinaryAccuracy(threshold=0.3)]
    return lossy(k, "binary_crossentropy", **BINARY, metrics=several)


def top_k(k, name):
    """Keras on TensorFlow cannot count the top k in float64."""
    return [getattr(k.metrics, name)(k=2)] if k.config.floatx() == "float32" else []


@script
def metrics_categorical(k):
    several = [
        "accuracy",
        k.metrics.F1Score(average="macro"),
        "categorical_crossentropy",
        *top_k(k, "TopKCategoricalAccuracy"),
    ]
    return lossy(k, "categorical_crossentropy", **ONE_HOT, metrics=several)


@script
def metrics_sparse(k):
    several = [
        "accuracy",
        "sparse_categorical_crossentropy",
        *top_k(k, "SparseTopKCategoricalAccuracy"),
    ]
    return lossy(k, "sparse_categorical_crossentropy", **LABELS, metrics=several)
