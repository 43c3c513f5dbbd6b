#!/usr/bin/env python3
"""Lists the tensors of one file with the official package and prints how many there are and how many seconds that took.

    list_tensors.py FILE      a .safetensors file with the package safetensors, a .gguf file with the package gguf

The start of the interpreter and the imports do not count.
"""

import sys
import time

import gguf
import safetensors


def list_safetensors(path):
    with safetensors.safe_open(path, "numpy") as file:
        slices = ((name, file.get_slice(name)) for name in file.keys())
        return [(name, part.get_dtype(), part.get_shape()) for name, part in slices]


def list_gguf(path):
    reader = gguf.GGUFReader(path)
    return [(tensor.name, tensor.tensor_type.name, tensor.shape.tolist()) for tensor in reader.tensors]


if __name__ == "__main__":
    list_tensors = list_gguf if sys.argv[1].endswith(".gguf") else list_safetensors
    began = time.perf_counter()
    count = len(list_tensors(sys.argv[1]))
    print(count, time.perf_counter() - began)
