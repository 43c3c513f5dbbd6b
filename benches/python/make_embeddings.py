#!/usr/bin/env python3
"""Makes the embeddings of real sentences that the bench measures with; does nothing when they are there.

    make_embeddings.py DIR MODELS      into DIR, with the model all-minilm-l6-v2 of MODELS, as tests/models/fetch.py lays it

    base.fvecs, base.npy       50,000 embeddings, 384 float32 each, of length 1
    queries.fvecs, queries.npy  1,000 of other sentences
    base.txt, queries.txt      the sentences, one a line

The sentences are the glosses of WordNet 3.0 (package wordnet-base), each once, in the order of their SHA-256.  The model is a BERT
of six layers, computed here: mean of the last layer over all tokens, then scaled to length 1 (model card of all-MiniLM-L6-v2).
An .fvecs file repeats the number of dimensions, as int32, before each embedding; everything is little-endian.

One machine makes the same bytes each time, with however many processes; another CPU may differ in a float's last bits.
"""

import hashlib
import multiprocessing
import os
import pathlib
import sys
import unicodedata

# One process per CPU, each with one thread: what is not a matrix product is spread as well.  Read when numpy starts.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy
from safetensors.numpy import load_file

WORDNET = pathlib.Path("/usr/share/wordnet")
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
GLOSS_CHARS_MIN = 12
SETS = {"base": 50_000, "queries": 1_000}

TOKENS_MAX = 64
WORD_CHARS_MAX = 100
BATCH_TOKENS = 2048
LAYERS, HEADS, DIMENSIONS = 6, 12, 384
EPSILON = numpy.float32(1e-12)

# --- sentences ---


def glosses():
    """Returns the text behind the bar of every synset's line; lines that begin with blanks are the licence."""
    found = set()
    for part in PARTS_OF_SPEECH:
        text = (WORDNET / f"data.{part}").read_text("latin-1")
        found.update(line.split("|", 1)[1].strip() for line in text.split("\n") if line and not line.startswith("  "))
    return sorted((gloss for gloss in found if len(gloss) >= GLOSS_CHARS_MIN), key=digest)


def digest(text):
    return hashlib.sha256(text.encode()).digest()


# --- tokens: BERT's, uncased ---


def is_punctuation(char):
    symbol_of_ascii = char.isascii() and not char.isalnum() and not char.isspace()
    return symbol_of_ascii or unicodedata.category(char).startswith("P")


def words(text):
    """Returns words in lower case without accents; each punctuation mark is a word."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    plain = (char for char in decomposed if unicodedata.category(char) not in ("Mn", "Cc", "Cf"))
    return "".join(f" {char} " if is_punctuation(char) else char for char in plain).split()


def pieces(word, vocabulary):
    """Returns the longest known pieces from left to right, or the unknown token if they do not make the whole word."""
    numbers, start = [], 0
    while start < len(word) <= WORD_CHARS_MAX:
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in vocabulary), None)
        if end is None:
            break
        numbers.append(vocabulary[prefix + word[start:end]])
        start = end
    return numbers if start == len(word) else [vocabulary["[UNK]"]]


def tokens(text, vocabulary):
    numbers = [number for word in words(text) for number in pieces(word, vocabulary)]
    return [vocabulary["[CLS]"], *numbers[: TOKENS_MAX - 2], vocabulary["[SEP]"]]


def load_vocabulary(model):
    lines = (model / "vocab.txt").read_text("utf-8").splitlines()
    return {line: number for number, line in enumerate(lines)}


# --- the model ---


def normalise(x, weights, name):
    x = x - x.mean(-1, keepdims=True)
    x /= numpy.sqrt(numpy.square(x).mean(-1, keepdims=True) + EPSILON)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def erf(x):
    """Returns the error function to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26)."""
    size = numpy.abs(x)
    t = 1 / (1 + numpy.float32(0.3275911) * size)
    sum_ = numpy.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        sum_ = sum_ * t + numpy.float32(factor)
    return numpy.copysign(1 - sum_ * t * numpy.exp(-size * size), x)


def gelu(x):
    return x * numpy.float32(0.5) * (1 + erf(x * numpy.float32(0.5**0.5)))


def softmax(x):
    x = numpy.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attend(x, weights, layer):
    def heads(name):
        each = linear(x, weights, f"{layer}.attention.self.{name}").reshape(*x.shape[:2], HEADS, -1)
        return each.transpose(0, 2, 1, 3)

    query, key, value = heads("query"), heads("key"), heads("value")
    scores = query @ key.transpose(0, 1, 3, 2) * numpy.float32((DIMENSIONS // HEADS) ** -0.5)
    mixed = (softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
    output = f"{layer}.attention.output"
    return normalise(x + linear(mixed, weights, f"{output}.dense"), weights, f"{output}.LayerNorm")


def embed(numbers, weights):
    """Returns embeddings of sentences that have the same number of tokens, so that none is padded."""
    x = weights["embeddings.word_embeddings.weight"][numbers]
    x = x + weights["embeddings.position_embeddings.weight"][: numbers.shape[1]]
    x = normalise(x + weights["embeddings.token_type_embeddings.weight"][0], weights, "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        x = attend(x, weights, layer)
        wide = gelu(linear(x, weights, f"{layer}.intermediate.dense"))
        x = normalise(x + linear(wide, weights, f"{layer}.output.dense"), weights, f"{layer}.output.LayerNorm")
    mean = x.mean(1).astype(numpy.float64)
    return (mean / numpy.linalg.norm(mean, axis=1, keepdims=True)).astype("<f4")


# --- all sentences ---


class Worker:
    """What each process keeps: the weights."""

    weights = {}

    @classmethod
    def start(cls, model):
        cls.weights = load_file(model / "model.safetensors")

    @classmethod
    def run(cls, numbers):
        return embed(numbers, cls.weights)


def batches(encoded):
    """Returns the places of sentences that are computed together: of one number of tokens, some 2048 tokens in all."""
    by_length = {}
    for place, numbers in enumerate(encoded):
        by_length.setdefault(len(numbers), []).append(place)
    for length, places in sorted(by_length.items()):
        size = BATCH_TOKENS // length
        yield from (places[start : start + size] for start in range(0, len(places), size))


def embeddings(texts, vocabulary, pool):
    encoded = [tokens(text, vocabulary) for text in texts]
    places = list(batches(encoded))
    found = numpy.empty((len(texts), DIMENSIONS), "<f4")
    inputs = (numpy.array([encoded[place] for place in batch]) for batch in places)
    for batch, rows in zip(places, pool.imap(Worker.run, inputs)):
        found[batch] = rows
    return found


def write(directory, name, texts, rows):
    """Writes the .fvecs file last, and whole: where it is, the others are."""
    (directory / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts))
    numpy.save(directory / f"{name}.npy", rows)
    head = numpy.full((len(rows), 1), DIMENSIONS, "<i4").view("<f4")
    part = directory / f"{name}.fvecs.part"
    numpy.hstack([head, rows]).tofile(part)
    part.replace(directory / f"{name}.fvecs")


def main(directory, models):
    if all((directory / f"{name}.fvecs").exists() for name in SETS):
        return
    directory.mkdir(parents=True, exist_ok=True)
    model = models / "safetensors" / "all-minilm-l6-v2"
    vocabulary = load_vocabulary(model)
    texts = glosses()
    print(f"==> making {sum(SETS.values())} embeddings in {directory}, a few minutes", flush=True)
    with multiprocessing.Pool(initializer=Worker.start, initargs=(model,)) as pool:
        start = 0
        for name, count in SETS.items():
            chosen = texts[start : start + count]
            write(directory, name, chosen, embeddings(chosen, vocabulary, pool))
            start += count


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
