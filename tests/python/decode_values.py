#!/usr/bin/env python3
"""Decodes tensor bytes with the official packages and writes the values as float64, little-endian.

    decode_values.py FILE ...

Each file is named after a dtype and holds whole blocks of it, little-endian; its values go to FILE.f64.

Block types are decoded by the package gguf, floats of 8 bits and less by ml_dtypes, the rest by numpy.  Packing of F4 and F6 is
done here.  So are the types that gguf 0.19 cannot decode: Q8_1, Q8_K, Q1_0 and Q2_0, after the comments beside the structs of
ggml's ggml-common.h.
"""

import pathlib
import sys

import gguf
import ml_dtypes
import numpy

NUMPY = {
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}

ML_DTYPES = {
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "BF16": ml_dtypes.bfloat16,
}


def unpack(data, width):
    """Returns elements of so many bits, packed from the least significant bit on, as bytes."""
    bits = numpy.unpackbits(data, bitorder="little").reshape(-1, width)
    return numpy.packbits(bits, axis=-1, bitorder="little").reshape(-1)


def blocks(data, **fields):
    """Returns the fields of each block by name: dtype, or dtype and count."""
    described = numpy.dtype([(name, *(form if isinstance(form, tuple) else (form,))) for name, form in fields.items()])
    return data.view(described)


def scaled(scale, quanta):
    return scale.astype(numpy.float32)[:, None] * quanta.astype(numpy.float32)


def decode_q8_1(data):
    found = blocks(data, d="<f2", s="<f2", qs=("i1", 32))
    return scaled(found["d"], found["qs"])


def decode_q8_k(data):
    found = blocks(data, d="<f4", qs=("i1", 256), bsums=("<i2", 16))
    return scaled(found["d"], found["qs"])


def decode_q1_0(data):
    found = blocks(data, d="<f2", qs=("u1", 16))
    bits = numpy.unpackbits(found["qs"], axis=-1, bitorder="little").astype(bool)
    scale = found["d"].astype(numpy.float32)[:, None]
    return numpy.where(bits, scale, -scale)


def decode_q2_0(data):
    found = blocks(data, d="<f2", qs=("u1", 16))
    bits = numpy.unpackbits(found["qs"], axis=-1, bitorder="little").astype(numpy.int32)
    return scaled(found["d"], bits[:, 0::2] + 2 * bits[:, 1::2] - 1)


OWN = {
    "BOOL": lambda data: data.view(bool),
    "F4": lambda data: unpack(data, 4).view(ml_dtypes.float4_e2m1fn),
    "F6_E2M3": lambda data: unpack(data, 6).view(ml_dtypes.float6_e2m3fn),
    "F6_E3M2": lambda data: unpack(data, 6).view(ml_dtypes.float6_e3m2fn),
    "Q8_1": decode_q8_1,
    "Q8_K": decode_q8_k,
    "Q1_0": decode_q1_0,
    "Q2_0": decode_q2_0,
}


def decode(dtype, data):
    if dtype in NUMPY:
        return data.view(NUMPY[dtype])
    if dtype in ML_DTYPES:
        return data.view(ML_DTYPES[dtype])
    if dtype in OWN:
        return OWN[dtype](data)
    kind = gguf.GGMLQuantizationType[dtype]
    block_bytes = gguf.GGML_QUANT_SIZES[kind][1]
    return gguf.quants.dequantize(data.reshape(-1, block_bytes), kind)


if __name__ == "__main__":
    # Extreme scales overflow and give NaN: these are what is compared.
    numpy.seterr(all="ignore")
    for argument in sys.argv[1:]:
        path = pathlib.Path(argument)
        values = decode(path.name, numpy.fromfile(path, dtype=numpy.uint8))
        values.reshape(-1).astype("<f8").tofile(f"{argument}.f64")
