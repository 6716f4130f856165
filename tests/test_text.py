"""Vocabularies, corpora, streams, the character model's gradients, training, validation, generation."""

import itertools
import json
import math

import numpy as np
import pytest

import fastrnn
from fastrnn import saving, text
from fastrnn.errors import ArgumentError, FastRNNError
from fastrnn.layers import Dense, Embedding
from fastrnn.text import Corpus, Streams, Vocabulary, python_prose
from fastrnn.text_model import CharModel
from fastrnn.text_training import Recipe, TextTraining, bits_per_character, windows

ENGLISH = "the quick brown fox jumps over the lazy dog; " * 60
MIXED = "naïve café, 漢字 and 🎈: €5. " * 120


def small_recipe(**options):
    return Recipe(**{"batch_size": 4, "length": 8, "warmup": 5, "hold": 5, **options})


# Vocabulary and corpus.


@pytest.mark.parametrize("characters", ["abc", "aé漢🎈 ", "\n"])
def test_vocabulary_round_trip(characters):
    v = Vocabulary(characters)
    sample = characters * 3
    assert v.decode(v.encode(sample)) == sample
    assert v.size == len(characters)
    assert sorted(v.encode(characters).tolist()) == list(range(v.size))


def test_unknown_characters_are_named():
    with pytest.raises(ArgumentError, match="got also 'xé漢'"):
        Vocabulary("abc").encode("axbé漢")


def test_characters_come_once_and_are_unicode():
    with pytest.raises(ArgumentError, match="each character once"):
        Vocabulary("aba")
    for characters in ("abc", None):
        with pytest.raises(ArgumentError, match="must be Unicode"):
            Vocabulary(characters).encode("a\udcff")


def test_bytes_decode_across_symbols_and_show_what_is_broken():
    v = Vocabulary(None)
    assert v.decode(v.encode("é漢🎈")) == "é漢🎈"
    assert v.decode(v.encode("漢")[:2]) == "\N{REPLACEMENT CHARACTER}"
    decoder = v.decoder()
    assert [decoder.decode(int(i)) for i in v.encode("é")] == ["", "é"]


@pytest.mark.parametrize("content", [ENGLISH, MIXED, "\r\n tabs\tand\x0bmore " * 80])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_corpus_reads_any_range(content, mapped, tmp_path, monkeypatch):
    # Small strides and chunks, so that characters lie across all boundaries.
    monkeypatch.setattr(text, "STRIDE", 7)
    monkeypatch.setattr(text, "SCAN_BYTES", 10)
    if mapped:
        (tmp_path / "text").write_bytes(content.encode())
        corpus = Corpus.of_file(tmp_path / "text")
    else:
        corpus = Corpus.of_text(content)
    assert (corpus.size, corpus.characters) == (len(content), len(content))
    assert set(corpus.vocabulary.characters) == set(content)
    rng = np.random.default_rng(0)
    spans = [(0, corpus.size), (5, 5), *np.sort(rng.integers(0, corpus.size + 1, (200, 2)))]
    for start, stop in spans:
        assert corpus.vocabulary.decode(corpus.read(start, stop)) == content[start:stop]


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbf" + ENGLISH.encode())
    corpus = Corpus.of_file(tmp_path / "text")
    assert corpus.vocabulary.decode(corpus.read(0, corpus.size)) == ENGLISH


def test_many_distinct_characters_become_bytes():
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 2
    corpus = Corpus.of_text(content)
    assert corpus.vocabulary.characters is None
    assert (corpus.size, corpus.characters) == (3600, 1200)
    assert corpus.vocabulary.decode(corpus.read(0, 30)) == content[:10]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"\xef\xbb\xbf", "got an empty file"),
        (b"short", "expected at least 1000 characters, got 5"),
        (b"a" * 3000 + b"\x00", "got byte 0x00 at offset 3000"),
        (b"a" * 3000 + b"\xff" + b"a" * 10, "got byte 0xff at offset 3000"),
        ("é".encode() * 1500 + b"\xc3", "got byte 0xc3 at offset 3000"),
        ("é".encode("latin-1") * 3000, "got byte 0xe9 at offset 0"),
        (b"\xed\xa0\x80" * 1000, "got byte 0xed at offset 0"),
        (bytes(range(256)) * 10, "expected UTF-8 text"),
    ],
)
@pytest.mark.parametrize("chunk", [10, 1 << 22])
def test_what_is_not_text_is_refused(content, message, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "SCAN_BYTES", chunk)
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(ArgumentError, match=message) as caught:
        Corpus.of_file(tmp_path / "text")
    assert str(tmp_path / "text") in str(caught.value) and "\nhint: " in str(caught.value)


def test_files_that_cannot_be_read_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        Corpus.of_file(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        Corpus.of_file(tmp_path)


def test_the_prose_of_python():
    corpus = python_prose()
    assert 400_000 < corpus.size < 600_000
    assert 90 < corpus.vocabulary.size < 200


# Streams.


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_streams_run_on_without_a_gap(steps, monkeypatch):
    monkeypatch.setattr(text, "STRIDE", 20)
    corpus = Corpus.of_text(ENGLISH)
    start, stop, rows = 100, 161, 4
    part = corpus.read(start, stop)
    read = list(itertools.islice(Streams(corpus, start, stop, rows=rows, steps=steps), 50))
    assert all(x.shape == t.shape == (steps, rows) for x, t in read)
    batches = Streams(corpus, start, stop, rows=rows, steps=steps)
    inputs, targets = zip(
        *((x.copy(), t.copy()) for x, t in itertools.islice(batches, 50)), strict=True
    )
    inputs, targets = np.concatenate(inputs), np.concatenate(targets)
    for row in range(rows):
        positions = row * len(part) // rows + np.arange(len(inputs) + 1)
        expected = part[positions % len(part)]
        np.testing.assert_array_equal(inputs[:, row], expected[:-1])
        np.testing.assert_array_equal(targets[:, row], expected[1:])


def test_streams_need_some_text():
    corpus = Corpus.of_text(ENGLISH)
    with pytest.raises(ArgumentError, match="rows=0"):
        Streams(corpus, 0, 100, rows=0, steps=1)
    with pytest.raises(ArgumentError, match="1 symbols"):
        Streams(corpus, 0, 1, rows=1, steps=1)
    Streams(corpus, 0, 100, rows=25, steps=1)
    for rows in (26, 10**12):
        with pytest.raises(ArgumentError, match="leave 4 symbols to each stream"):
            Streams(corpus, 0, 100, rows=rows, steps=1)


# The model.


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gradients_of_the_whole_model(cell):
    vocabulary = Vocabulary("abcde")
    model = CharModel(vocabulary, cell=cell, layers=2, hidden=3, embedding=2, dtype="float64")
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, 5, (2, 5, 3))
    state = [tuple(rng.standard_normal(h.shape) for h in layer) for layer in model.zero_state(3)]

    def loss():
        # With training=True, since inference would read a packed copy of each changed weight.
        logits, _ = model.forward(ids, state, training=True)
        for layer in model.layers:
            layer.forget()
        z = logits - logits.max(-1, keepdims=True)
        z -= np.log(np.exp(z).sum(-1, keepdims=True))
        return -np.take_along_axis(z, targets[..., None], -1).mean()

    value, _ = model.loss_and_gradients(ids, targets, state)
    assert value == pytest.approx(loss(), rel=1e-12)
    step = 1e-6
    for p in model.parameters:
        numeric = np.empty_like(p.value)
        for index in np.ndindex(p.shape):
            kept, ends = p.value[index], []
            for x in (kept + step, kept - step):
                p.value[index] = x
                ends.append(loss())
            p.value[index] = kept
            numeric[index] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(p.grad, numeric, rtol=1e-6, atol=1e-9, err_msg=p.name)


def test_flops_are_those_of_the_products():
    model = CharModel(Vocabulary("abcde"), layers=2, hidden=4, embedding=3)
    assert model.flops() == 6 * (16 * (3 + 4) + 16 * (4 + 4) + 4 * 5)
    assert model.count_params() == 15 + 16 * 7 + 16 + 16 * 8 + 16 + 20 + 5


def test_an_interrupted_step_leaves_no_trace(monkeypatch):
    corpus = Corpus.of_text(ENGLISH)
    model = CharModel(corpus.vocabulary, hidden=8, embedding=4)
    twin = CharModel(corpus.vocabulary, hidden=8, embedding=4)
    ids = np.zeros((3, 2), int)
    backward = model.recurrent[0].backward

    def interrupted(dy):
        backward(dy)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(model.recurrent[0], "backward", interrupted)
        model.loss_and_gradients(ids, ids, model.zero_state(2))
    for m in (model, twin):
        m.loss_and_gradients(ids, ids, m.zero_state(2))
    for p, q in zip(model.parameters, twin.parameters, strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)
    assert not any(layer._tapes for layer in model.layers)


def test_a_backward_pass_that_fails_leaves_no_gradients():
    layer = Dense(2, seed=0)
    layer(np.ones((3, 4)), training=True)
    with pytest.raises(FastRNNError):
        layer.backward(np.ones((3, 5)))
    assert not any(p.has_grad for p in layer.parameters)
    layer(np.ones((3, 4)), training=True)
    layer.backward(np.ones((3, 2)))
    assert all(p.has_grad for p in layer.parameters)
    assert layer.bias.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", None])
def test_sizes_of_layers_are_checked(size):
    for make in (Dense, lambda n: Embedding(n, 2), lambda n: Embedding(2, n)):
        with pytest.raises(ArgumentError, match="must be an integer of at least 1"):
            make(size)


def test_arguments_of_the_model():
    with pytest.raises(ArgumentError, match="cell must be one of lstm, gru, rnn"):
        CharModel(Vocabulary("ab"), cell="mgu")
    for name in ("layers", "hidden", "embedding"):
        with pytest.raises(ArgumentError, match=f"{name} must be at least 1"):
            CharModel(Vocabulary("ab"), **{name: 0})


# Training.


@pytest.mark.parametrize(("cell", "content"), [("lstm", ENGLISH), ("gru", MIXED), ("rnn", ENGLISH)])
def test_a_text_is_learned(cell, content):
    corpus = Corpus.of_text(content)
    model = CharModel(corpus.vocabulary, cell=cell, layers=1, hidden=32, embedding=16)
    training = TextTraining(model, corpus, small_recipe(learning_rate=0.02, hold=100))
    first = training.validate()
    losses = [training.step() for _ in range(150)]
    assert losses[0] / math.log(2) == pytest.approx(math.log2(corpus.vocabulary.size), abs=0.5)
    assert losses[-1] < 0.3 * losses[0]
    assert training.validate() < 0.4 * first
    assert training.epochs == pytest.approx(150 * 32 / training.cut)


def test_the_state_is_carried_from_batch_to_batch():
    corpus = Corpus.of_text(ENGLISH)
    model = CharModel(corpus.vocabulary, hidden=8, embedding=4)
    training = TextTraining(model, corpus, small_recipe(batch_size=1))
    model.parameters[0].value[...] *= 20
    for _ in range(3):
        training.compute()
        training._state = training._after  # no update: the weights stay
    ids = corpus.read(0, 24)[:, None]
    _, expected = model.forward(ids, model.zero_state(1))
    for got, want in zip(training._state, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_numbers_on_any_number_of_threads():
    corpus = Corpus.of_text(ENGLISH)

    def run(threads, seed=0, steps=6):
        with fastrnn.threads(threads):
            model = CharModel(corpus.vocabulary, hidden=70, embedding=24, seed=seed)
            training = TextTraining(model, corpus, small_recipe(batch_size=24, length=20))
            losses = [training.step() for _ in range(steps)]
            weights = b"".join(p.value.tobytes() for p in training.averaged.parameters)
            written = "".join(training.averaged.generate("the ", length=30, seed=3))
            return losses, weights, training.validate(), written

    one = run(1)
    assert one == run(3)
    assert one[0] != run(1, seed=1)[0]
    assert run(1, steps=3)[0] == one[0][:3]


def test_a_loss_that_is_not_finite_stops_the_training():
    corpus = Corpus.of_text(ENGLISH)
    model = CharModel(corpus.vocabulary, hidden=4, embedding=4)
    model.dense.bias.value[0] = np.nan
    training = TextTraining(model, corpus, small_recipe())
    with pytest.raises(FastRNNError, match="got nan at step 1"):
        training.step()
    assert training.count == 0


def test_recipes_are_checked():
    for name in ("batch_size", "length", "learning_rate", "warmup", "hold", "clip"):
        with pytest.raises(ArgumentError, match=f"{name} must be above 0"):
            Recipe(**{name: 0})
    rates = [Recipe(learning_rate=1.0, warmup=10, hold=20).rate(n) for n in (1, 5, 10, 20, 80)]
    assert rates == [0.1, 0.5, 1.0, 1.0, 0.5]


# Validation.


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (500, 1203), (999, 1001), (40, 41)])
@pytest.mark.parametrize(("rows", "steps"), [(1, 16), (5, 8), (32, 64)])
def test_every_symbol_is_scored_once(start, stop, rows, steps):
    content = "".join(chr(0x100 + i % 500) for i in range(1500))
    corpus = Corpus.of_text(content)
    scored = []
    before = None
    for ids, targets, weights in windows(corpus, start, stop, rows, steps):
        assert ids.shape == targets.shape == weights.shape == (steps, rows)
        np.testing.assert_array_equal(ids[1:][weights[1:] > 0], targets[:-1][weights[1:] > 0])
        if before is not None:  # windows follow one another
            np.testing.assert_array_equal(ids[0][weights[0] > 0], before[weights[0] > 0])
        before = targets[-1]
        scored += targets[weights > 0].tolist()
    assert sorted(scored) == sorted(corpus.read(start, stop).tolist())


def test_validation_agrees_with_reading_the_text_in_one_go():
    corpus = Corpus.of_text(ENGLISH)
    model = CharModel(corpus.vocabulary, hidden=8, embedding=4, dtype="float64")
    ids = corpus.read(0, 900)
    logits, _ = model.forward(ids[:-1, None], model.zero_state(1))
    z = logits[:, 0] - logits[:, 0].max(-1, keepdims=True)
    z -= np.log(np.exp(z).sum(-1, keepdims=True))
    nats = -z[np.arange(899), ids[1:]][499:]
    got = bits_per_character(model, corpus, 500, 900, rows=1, steps=500)
    assert got == pytest.approx(nats.mean() / math.log(2), rel=1e-9)
    # Rows that start in the middle of the text differ little: the state forgets.
    got = bits_per_character(model, corpus, 500, 900, rows=7, steps=50)
    assert got == pytest.approx(nats.mean() / math.log(2), rel=1e-3)


def test_bits_are_per_character_where_symbols_are_bytes():
    corpus = Corpus.of_text("".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 2)
    model = CharModel(corpus.vocabulary, hidden=4, embedding=4)
    bits = bits_per_character(model, corpus, 3000, 3600)
    assert bits == pytest.approx(3 * 8, abs=1.0)


# Generation and files.


def test_generation():
    model = CharModel(Vocabulary("ab \n"), hidden=8, embedding=4)
    model.parameters[0].value[...] *= 50

    def write(**options):
        return "".join(model.generate("a", **{"length": 60, **options}))

    assert len(write()) == 60
    assert write(seed=1) == write(seed=1) != write(seed=2)
    assert write(temperature=0) == write(temperature=0, seed=9) == write(temperature=1e-9)
    assert write(length=0) == ""
    assert len("".join(model.generate(length=5))) == 5
    for wrong in ({"temperature": -1.0}, {"temperature": math.nan}, {"length": -1}):
        with pytest.raises(ArgumentError):
            write(**wrong)
    with pytest.raises(ArgumentError, match="got also 'x'"):
        model.generate("x")


def test_generation_follows_the_predictions():
    model = CharModel(Vocabulary("abc"), layers=1, hidden=2, embedding=2)
    for p in model.parameters:
        p.assign(np.zeros(p.shape))
    model.dense.bias.assign(np.log([0.5, 0.3, 0.2]))
    written = "".join(model.generate("a", length=4000, temperature=1.0))
    shares = [written.count(c) / 4000 for c in "abc"]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.03)
    # At temperature 1/2 the probabilities are squared, then normalized.
    written = "".join(model.generate("a", length=4000, temperature=0.5))
    shares = [written.count(c) / 4000 for c in "abc"]
    np.testing.assert_allclose(shares, np.array([25, 9, 4]) / 38, atol=0.03)


@pytest.mark.parametrize("content", [ENGLISH, "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_saved_model_writes_the_same_text(tmp_path, content, cell):
    corpus = Corpus.of_text(content)
    model = CharModel(corpus.vocabulary, cell=cell, hidden=8, embedding=4, layers=3)
    model.save(tmp_path / "model", {"steps": 1})
    again = CharModel.load(tmp_path / "model")
    assert again.config == model.config
    assert again.vocabulary.characters == model.vocabulary.characters
    texts = ["".join(m.generate(content[:5], length=20)) for m in (model, again)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 10**9},
        {"hidden": 10**9},
        {"hidden": "x"},
        {"embedding": 5},
        {"cell": "mgu"},
        {"cell": ["lstm"]},
        {"seed": "x"},
        {"dtype": "int8"},
        {"unknown": 1},
        None,
    ],
)
def test_headers_that_lie_are_refused(tmp_path, change):
    model = CharModel(Vocabulary("abc"), hidden=8, embedding=4)
    config = None if change is None else {**model.config, **change}
    arrays = {p.name: p.value for p in model.parameters}
    metadata = {"model": config, "characters": "abc"}
    saving.save_arrays(tmp_path / "model", arrays, "character model", metadata)
    with pytest.raises(ArgumentError, match="not a whole character model"):
        CharModel.load(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: np.full_like(a, np.nan),
        lambda a: np.full_like(a, np.inf),
        lambda a: a.astype(np.int32),
        lambda a: a.astype(bool),
        lambda a: a.astype(np.float64),
        lambda a: a[:0],
        lambda a: a[0],
    ],
)
@pytest.mark.parametrize("name", ["embedding/embeddings", "lstm_1/recurrent_kernel"])
def test_weights_that_are_no_weights_are_refused(tmp_path, name, change):
    model = CharModel(Vocabulary("abc"), hidden=8, embedding=4)
    arrays = {p.name: p.value for p in model.parameters}
    arrays[name] = change(arrays[name])
    metadata = {"model": model.config, "characters": "abc"}
    saving.save_arrays(tmp_path / "model", arrays, "character model", metadata)
    with pytest.raises(ArgumentError, match="not a whole character model"):
        CharModel.load(tmp_path / "model")


@pytest.mark.parametrize("characters", ["ab", "abcd", "aba", "ab\udcff", 3, "missing"])
def test_vocabularies_that_do_not_fit_are_refused(tmp_path, characters):
    model = CharModel(Vocabulary("abc"), hidden=8, embedding=4)
    arrays = {p.name: p.value for p in model.parameters}
    metadata = {"model": model.config, "characters": characters}
    if characters == "missing":
        del metadata["characters"]
    saving.save_arrays(tmp_path / "model", arrays, "character model", metadata)
    with pytest.raises(ArgumentError, match="not a whole character model"):
        CharModel.load(tmp_path / "model")


def test_a_missing_array_is_refused(tmp_path):
    model = CharModel(Vocabulary("abc"), hidden=8, embedding=4)
    arrays = {p.name: p.value for p in model.parameters[:-1]}
    metadata = {"model": json.loads(json.dumps(model.config)), "characters": "abc"}
    saving.save_arrays(tmp_path / "model", arrays, "character model", metadata)
    with pytest.raises(ArgumentError, match="not a whole character model"):
        CharModel.load(tmp_path / "model")
