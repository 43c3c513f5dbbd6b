#!/usr/bin/env python3
"""Reads safetensors files with the official package and prints what it found, one JSON document per line.

    read_safetensors.py FILE ...

    {"path": FILE, "metadata": {"key": "value"} or null,
     "tensors": [{"name", "dtype", "shape", "size_bytes", "sha256"}]}     sorted by name
    {"path": FILE, "error": "..."}                                        the package refuses the file

No tensor library takes part: `deserialize` hands out each tensor's stored bytes, also of types that numpy has no name for.
"""

import hashlib
import json
import pathlib
import sys

import safetensors

LENGTH_BYTES = 8  # before the header, little-endian


def read_metadata(data):
    """Returns the header's metadata, which `deserialize` has accepted but does not hand out."""
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    return json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length]).get("__metadata__")


def describe(name, tensor):
    payload = bytes(tensor["data"])
    return {
        "name": name,
        "dtype": tensor["dtype"],
        "shape": tensor["shape"],
        "size_bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }


def read(path):
    data = pathlib.Path(path).read_bytes()
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        return {"path": path, "error": str(error)}
    described = [describe(name, tensor) for name, tensor in sorted(tensors)]
    return {"path": path, "metadata": read_metadata(data), "tensors": described}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(json.dumps(read(argument)))
