#!/usr/bin/env python3
"""Reads GGUF files with the official package and prints what it found, one JSON document per line.

    read_gguf.py FILE ...

    {"path": FILE, "byte_order": "little" or "big",
     "metadata": [{"key", "type", "value"}]                                in the order of the file
     "tensors": [{"name", "dtype", "shape", "offset", "size_bytes", "sha256"}]}
    {"path": FILE, "error": "..."}                                         the package refuses the file

Values: whole numbers and truth values as they are, floats as the number that their bits make, strings as the hex of their bytes,
arrays as {"element", "count", "sha256"} with the hash of the elements as they are stored, lengths included.  Shapes are
row-major.  The package reads versions 2 and 3, and alignments that are powers of two and stored as uint32.
"""

import hashlib
import json
import sys

from gguf import GGUFReader, GGUFValueType

FIXED_FIELDS = 3  # version and two counts, which the package lists as if they were keys
FLOATS = (GGUFValueType.FLOAT32, GGUFValueType.FLOAT64)


def sha256(parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes())
    return digest.hexdigest()


def describe_value(kind, parts, order):
    """Describes a value by its stored parts: for strings length and bytes, for arrays type, count and the parts of each."""
    if kind == GGUFValueType.ARRAY:
        element, count, *elements = parts
        name = GGUFValueType(element[0]).name.lower()
        return {"element": name, "count": int(count[0]), "sha256": sha256(elements)}
    if kind == GGUFValueType.STRING:
        return parts[-1].tobytes().hex()
    if kind in FLOATS:
        return int.from_bytes(parts[-1].tobytes(), order)
    return parts[-1][0].item()


def describe_field(field, order):
    _, key, kind, *parts = field.parts
    kind = GGUFValueType(kind[0])
    value = describe_value(kind, parts, order)
    return {"key": key.tobytes().decode(), "type": kind.name.lower(), "value": value}


def describe_tensor(tensor):
    return {
        "name": tensor.name,
        "dtype": tensor.tensor_type.name,
        "shape": [int(dim) for dim in reversed(tensor.shape)],
        "offset": int(tensor.data_offset),
        "size_bytes": int(tensor.n_bytes),
        "sha256": sha256([tensor.data]),
    }


def read(path):
    try:
        reader = GGUFReader(path)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        return {"path": path, "error": f"{type(error).__name__}: {error}"}
    order = reader.endianess.name.lower()
    fields = list(reader.fields.values())[FIXED_FIELDS:]
    metadata = [describe_field(field, order) for field in fields]
    tensors = [describe_tensor(tensor) for tensor in reader.tensors]
    return {"path": path, "byte_order": order, "metadata": metadata, "tensors": tensors}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(read(argument)))
