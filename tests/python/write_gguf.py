#!/usr/bin/env python3
"""Writes small GGUF files with the official package, the same bytes in every run.

    write_gguf.py DIRECTORY

One file per type that the package can quantize to, one per kind of layout: alignment 64, big-endian, split in parts, every type of
value.
"""

import pathlib
import sys

import numpy
from gguf import GGMLQuantizationType, GGUFEndian, GGUFValueType, GGUFWriter
from gguf.quants import quantize

SEED = 20231101
ARCHITECTURE = "llama"
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
SHAPES = {
    "token_embd.weight": (96, 64),
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.ffn_up.weight": (2, 32, 64),
    "blk.0.ffn_down.weight": (2, 3, 5, 32),
    "output.weight": (1, 32),
}
NORM = "output_norm.weight"  # of 33 elements, never quantized: what follows needs padding


def weights(name, shape):
    """Returns weights that depend on the name only."""
    noise = numpy.random.Generator(numpy.random.PCG64([SEED, *name.encode()]))
    return noise.standard_normal(shape, dtype=numpy.float32)


def writer(path, **options):
    out = GGUFWriter(path, ARCHITECTURE, **options)
    out.add_name(path.stem)
    out.add_quantization_version(2)
    out.add_array("tokenizer.ggml.tokens", ["<s>", "\u2581a", "\U0001f600", ""])
    out.add_array("tokenizer.ggml.scores", [0.0, -1.5, 1e-40, -2.0])
    return out


def add_tensors(out, kind):
    out.add_tensor(NORM, weights(NORM, (33,)))
    for name, shape in SHAPES.items():
        out.add_tensor(name, quantize(weights(name, shape), kind), raw_dtype=kind)


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_types(directory):
    for name in TYPES:
        out = writer(directory / f"{name.lower()}.gguf")
        add_tensors(out, GGMLQuantizationType[name])
        finish(out)


def write_aligned(directory):
    out = writer(directory / "alignment_64.gguf")
    out.add_custom_alignment(64)
    add_tensors(out, GGMLQuantizationType.Q5_1)
    finish(out)


def write_big_endian(directory):
    out = writer(directory / "big_endian.gguf", endianess=GGUFEndian.BIG)
    add_tensors(out, GGMLQuantizationType.F16)
    finish(out)


def write_split(directory):
    out = writer(directory / "split.gguf", split_max_tensors=4)
    add_tensors(out, GGMLQuantizationType.Q8_0)
    finish(out)


def write_integers(directory):
    out = writer(directory / "integers.gguf")
    for kind in (numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.float64):
        out.add_tensor(kind.__name__, (weights(kind.__name__, (7, 3)) * 100).astype(kind))
    finish(out)


def write_values(directory, name, **options):
    values = {
        GGUFValueType.UINT8: 255,
        GGUFValueType.INT8: -128,
        GGUFValueType.UINT16: 65535,
        GGUFValueType.INT16: -32768,
        GGUFValueType.UINT32: 2**32 - 1,
        GGUFValueType.INT32: -(2**31),
        GGUFValueType.FLOAT32: 1.5,
        GGUFValueType.BOOL: True,
        GGUFValueType.STRING: "\u2581word",
        GGUFValueType.UINT64: 2**64 - 1,
        GGUFValueType.INT64: -(2**63),
        GGUFValueType.FLOAT64: 5e-324,
    }
    out = writer(directory / name, **options)
    for kind, value in values.items():
        out.add_key_value(f"value.{kind.name.lower()}", value, kind)
        out.add_key_value(f"array.{kind.name.lower()}", [value] * 3, GGUFValueType.ARRAY, sub_type=kind)
    finish(out)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write_types(target)
    write_aligned(target)
    write_big_endian(target)
    write_split(target)
    write_integers(target)
    write_values(target, "values.gguf")
    write_values(target, "values_big_endian.gguf", endianess=GGUFEndian.BIG)
