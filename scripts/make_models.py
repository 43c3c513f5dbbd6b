#!/usr/bin/env python3
"""Writes two small safetensors models that share most of their tensors, for a machine without network.

make_models.py DIR      DIR/generated, DIR/generated-tuned

Each run writes the same bytes.
"""

import hashlib
import json
import pathlib
import sys

WIDTH = 256
LAYERS = 4
HEADER_ALIGNMENT = 8


def tensors(changed):
    """Yields name, shape and bytes; the last layer's bytes depend on `changed`."""
    for layer in range(LAYERS):
        variant = changed if layer == LAYERS - 1 else ""
        for name, shape in (("weight", [WIDTH, WIDTH]), ("bias", [WIDTH])):
            count = 1
            for size in shape:
                count *= size
            seed = f"{layer}.{name}{variant}".encode()
            yield f"layers.{layer}.{name}", shape, hashlib.shake_256(seed).digest(2 * count)


def write(path, changed):
    header, payload = {"__metadata__": {"made_by": "pg_atoms"}}, b""
    for name, shape, data in tensors(changed):
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [len(payload), len(payload) + len(data)]}
        payload += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + payload)


if __name__ == "__main__":
    directory = pathlib.Path(sys.argv[1])
    write(directory / "generated" / "model.safetensors", "")
    write(directory / "generated-tuned" / "model.safetensors", "tuned")
