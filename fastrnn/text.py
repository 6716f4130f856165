"""Text as small integers: vocabularies, files of any size, batches of contiguous streams."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["Corpus", "Streams", "Vocabulary", "python_prose"]

# More distinct characters than this and the text is read as UTF-8 bytes: 256 symbols that can write
# anything. An output layer over the thousands of characters of, say, Chinese would cost more than
# the recurrent layers.
MOST_CHARACTERS = 512
# Characters between two entries of the index of byte offsets; reading from anywhere decodes at most
# this many more.
STRIDE = 4096
# A batch's streams begin at least this many symbols apart.
SHORTEST_STREAM = 4
SCAN_BYTES = 1 << 22
SHORTEST = 1000


class Vocabulary:
    """The symbols of a model: single characters, or the 256 bytes of UTF-8 (`characters=None`).

    Example:
        >>> from fastrnn.text import Vocabulary
        >>> v = Vocabulary("abé")
        >>> v.encode("béa").tolist(), v.decode([1, 2]), v.size
        ([1, 2, 0], 'bé', 3)
        >>> Vocabulary(None).encode("é").tolist()
        [195, 169]
    """

    def __init__(self, characters: str | None) -> None:
        self.characters = characters
        self.size = 256 if characters is None else len(characters)
        if characters is not None:
            points = _code_points(characters)
            if len(set(characters)) < len(characters):
                raise ArgumentError(
                    f"Vocabulary: must hold each character once, got {characters[:80]!r}\n"
                    "hint: sort and unite them: ''.join(sorted(set(text)))"
                )
            # Code point -> symbol; -1 where there is none.
            self._table = np.full(int(points.max(initial=0)) + 1, -1, np.int16)
            self._table[points] = np.arange(self.size)

    def encode(self, text: str) -> np.ndarray:
        """Return the symbols of `text`; ArgumentError for characters that it lacks."""
        if self.characters is None:
            return np.frombuffer(_encoded(text, "utf-8"), np.uint8)
        points = _code_points(text)
        ids = np.where(
            points < len(self._table), self._table[np.minimum(points, len(self._table) - 1)], -1
        )
        if ids.size and ids.min() < 0:
            unknown = "".join(sorted(set(text) - set(self.characters)))
            raise ArgumentError(
                f"text: must hold characters that the model knows, got also {unknown[:20]!r}\n"
                f"hint: it knows {self.characters!r}"
            )
        return ids

    def encode_bytes(self, data: np.ndarray) -> np.ndarray:
        """Return the symbols of an array of bytes, valid UTF-8 of known characters."""
        if self.characters is None:
            return data
        return self._table[_code_points(data.tobytes().decode("utf-8"))]

    def decode(self, ids: Any) -> str:
        """Return the text of `ids`; bytes that are not UTF-8 become the replacement character."""
        decoder = self.decoder()
        return "".join(decoder.decode(int(i)) for i in ids) + decoder.end()

    def decoder(self) -> Decoder:
        """Return a decoder that takes one symbol at a time."""
        return Decoder(self)


class Decoder:
    """Turns symbols into text as they come; bytes wait until their character is whole."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._characters = vocabulary.characters
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, symbol: int) -> str:
        """Return the text that `symbol` completes, perhaps none."""
        if self._characters is None:
            return self._bytes.decode(bytes((symbol,)))
        return self._characters[symbol]

    def end(self) -> str:
        """Return what is left of a broken character."""
        return self._bytes.decode(b"", final=True)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(_encoded(text, "utf-32-le"), "<u4")


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"text: must be Unicode, got {text[error.start]!r} at character {error.start}\n"
            "hint: lone surrogates stand for bytes that are not UTF-8, e.g. on the command line"
        ) from error


class Corpus:
    """A UTF-8 text as symbols, decoded only where it is read: it may be larger than memory.

    Making one reads all of it once: checks that it is text, counts its characters and notes the
    byte offset of every 4096th. `vocabulary` is that of its characters if they are few (at most
    512), else of bytes. `size` counts symbols and `characters` characters, which differ only where
    the symbols are bytes.

    Raises OSError if the file cannot be read; ArgumentError if it is empty, not UTF-8 text, or
    shorter than 1000 characters.

    Example:
        >>> from fastrnn.text import Corpus
        >>> corpus = Corpus.of_text("to be or not to be. " * 50)
        >>> corpus.size, corpus.vocabulary.decode(corpus.read(6, 12))
        (1000, 'or not')
    """

    def __init__(self, data: np.ndarray, name: str) -> None:
        if data[:3].tobytes() == codecs.BOM_UTF8:
            data = data[3:]
        if not data.size:
            raise ArgumentError(
                f"{name}: expected text, got an empty file\nhint: give a file of UTF-8 text"
            )
        self.name = name
        self.data = data
        seen, self.characters, index = _scan(data, name)
        if self.characters < SHORTEST:
            raise ArgumentError(
                f"{name}: expected at least {SHORTEST} characters, got {self.characters}\n"
                "hint: a model learns something from about 100,000 characters on"
            )
        few = len(seen) <= MOST_CHARACTERS
        self.vocabulary = Vocabulary("".join(map(chr, seen)) if few else None)
        # One byte per symbol: any position is its own offset.
        direct = not few or self.characters == data.size
        self.size = data.size if direct else self.characters
        self._index = None if direct else np.append(index, data.size)

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> Corpus:
        """Return the corpus of a file of UTF-8 text; the file must not change while it is used."""
        name = os.fspath(path)
        with open(name, "rb") as file:  # raises what Python raises, with the file's name
            size = os.fstat(file.fileno()).st_size
            # An empty file cannot be mapped; pipes and the like have no size: read what is there.
            mapped = (
                np.memmap(file, np.uint8, "r") if size else np.frombuffer(file.read(), np.uint8)
            )
        return cls(np.asarray(mapped), name)

    @classmethod
    def of_text(cls, text: str, name: str = "text") -> Corpus:
        """Return the corpus of a string."""
        return cls(np.frombuffer(_encoded(text, "utf-8"), np.uint8), name)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the symbols of positions start..stop-1."""
        if self._index is None:
            return self.vocabulary.encode_bytes(self.data[start:stop])
        if stop <= start:
            return np.empty(0, np.int16)
        first, last = start // STRIDE, (stop - 1) // STRIDE + 1
        ids = self.vocabulary.encode_bytes(self.data[self._index[first] : self._index[last]])
        return ids[start - first * STRIDE : stop - first * STRIDE]


def _scan(data: np.ndarray, name: str) -> tuple[list[int], int, np.ndarray]:
    """Return the code points that occur, the number of characters, every STRIDE-th's offset."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = np.zeros(sys.maxunicode + 1, bool)
    count, offsets = 0, []
    for start in range(0, data.size, SCAN_BYTES):
        chunk = data[start : start + SCAN_BYTES]
        raw = chunk.tobytes()
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(raw, final=start + SCAN_BYTES >= data.size)
        except UnicodeDecodeError as error:
            raise _not_text(
                name, start - waiting + error.start, error.object[error.start]
            ) from error
        if b"\0" in raw:
            raise _not_text(name, start + raw.index(0), 0)
        if raw.isascii():  # several times faster than what follows, which gives the same
            seen[chunk] = True
            begins = np.arange(len(raw))
        else:
            seen[_code_points(text)] = True
            begins = np.flatnonzero((chunk & 0xC0) != 0x80)
        offsets.append(start + begins[-count % STRIDE :: STRIDE])
        count += begins.size
    return np.flatnonzero(seen).tolist(), count, np.concatenate(offsets)


def _not_text(name: str, offset: int, byte: int) -> ArgumentError:
    return ArgumentError(
        f"{name}: expected UTF-8 text, got byte 0x{byte:02x} at offset {offset}\n"
        "hint: binary files cannot be used; convert other encodings, e.g. iconv -f latin1 -t utf-8"
    )


class Streams:
    """Batches of truncated BPTT: B contiguous streams through symbols start..stop-1.

    Each iteration gives (inputs, targets), both (T, B) views of a buffer that is reused; targets
    are the inputs one symbol later, and the next batch goes on where this one ended, so that a
    recurrent state carries over. A stream that reaches the beginning of the next one runs on
    through it, and at the end of the text through its beginning: it never ends, and the state need
    not be reset.

    Example:
        >>> from fastrnn.text import Corpus, Streams
        >>> corpus = Corpus.of_text("0123456789" * 100)
        >>> batches = Streams(corpus, 0, 1000, rows=2, steps=3)
        >>> inputs, targets = next(batches)
        >>> corpus.vocabulary.decode(inputs[:, 0]), corpus.vocabulary.decode(targets[:, 1])
        ('012', '123')
        >>> corpus.vocabulary.decode(next(batches)[0][:, 0])
        '345'
    """

    def __init__(self, corpus: Corpus, start: int, stop: int, *, rows: int, steps: int) -> None:
        self.corpus = corpus
        self.start, self.size = start, stop - start
        self.rows, self.steps = rows, steps
        if min(rows, steps) < 1 or self.size < 2:
            raise ArgumentError(
                f"Streams: rows and steps must be at least 1 and the text 2 symbols long, "
                f"got rows={rows}, steps={steps}, {self.size} symbols\nhint: use a longer text"
            )
        if rows > max(1, self.size // SHORTEST_STREAM):
            raise ArgumentError(
                f"Streams: the batch size must leave {SHORTEST_STREAM} symbols to each stream, got "
                f"{rows} for {self.size} symbols\nhint: use a smaller batch or a longer text"
            )
        self._origins = [row * self.size // rows for row in range(rows)]
        self._per_buffer = max(1, STRIDE // steps)
        # Time-major, so that a batch is a contiguous slice; one more symbol for the last target.
        self._buffer = np.empty((self._per_buffer * steps + 1, rows), np.int64)
        self._batch = 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        within = self._batch % self._per_buffer
        if not within:
            self._fill(self._batch * self.steps)
        self._batch += 1
        at = within * self.steps
        return self._buffer[at : at + self.steps], self._buffer[at + 1 : at + 1 + self.steps]

    def _fill(self, position: int) -> None:
        for row, origin in enumerate(self._origins):
            at, done = (origin + position) % self.size, 0
            while done < len(self._buffer):
                take = min(len(self._buffer) - done, self.size - at)
                ids = self.corpus.read(self.start + at, self.start + at + take)
                self._buffer[done : done + take, row] = ids
                at, done = (at + take) % self.size, done + take


def python_prose() -> Corpus:
    """Return the English prose that every Python ships: the topics of `help()`, 465 kB.

    Example:
        >>> from fastrnn.text import python_prose
        >>> python_prose().size > 400_000
        True
    """
    from pydoc_data import topics

    text = "".join(topics.topics[name] for name in sorted(topics.topics))
    return Corpus.of_text(text, "pydoc_data.topics")
