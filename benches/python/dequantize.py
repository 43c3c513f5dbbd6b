#!/usr/bin/env python3
"""Decodes one tensor of a GGUF file slice by slice with the package gguf, on one core, and prints values and seconds.

    dequantize.py FILE TENSOR ROWS      the tensor in slices of so many rows

The start of the interpreter, the imports and the reading of the header do not count.
"""

import sys
import time

import gguf

if __name__ == "__main__":
    path, name, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tensor = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == name)
    count = 0
    began = time.perf_counter()
    for start in range(0, len(tensor.data), rows):
        values = gguf.quants.dequantize(tensor.data[start : start + rows], tensor.tensor_type)
        count += values.size
    print(count, time.perf_counter() - began)
