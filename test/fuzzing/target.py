# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: some code that reads bytes, inputs to begin with, and what it may raise."""
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Numbers that programs stumble over, as they stand in binary and in text.
ODD = (b'\x00', b'\xff', b'\x7f', b'\x80', b'\xff\xff\xff\x7f', b'\x00\x00\x00\x80',
       b'\xff' * 8, b'\x00\x00\x00\x00\x00\x00\xf8\x7f', b'nan', b'inf', b'-inf', b'1e999', b'-1',
       b'0', b'""', b'null', b'[]', b'{}', b'\n', b'99999999999999999999', b',', b'\xef\xbb\xbf')


@dataclass(frozen=True)
class Target:
    """
    Something that reads bytes.

    :param seeds: makes valid inputs, or nearly valid ones, in a scratch folder of its own.
    :param open: makes, in a scratch folder, a function that takes one input; whatever that
        function raises is a fault, so it catches what the code under test may raise.
    """

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    open: Callable[[Path], Callable[[bytes], None]]


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """Change one of the seeds in a few places: flip, cut, repeat, splice, put in what is odd."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 2, 4, 8, 64))
        kind = chance.randrange(6)
        if kind == 0:
            data[place:place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[place:place + length]
        elif kind == 2:
            data[place:place] = data[place:place + length]
        elif kind == 3:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            data[place:place + length] = other[start:start + length]
        elif kind == 4:
            odd = chance.choice(ODD)
            data[place:place + chance.choice((0, len(odd)))] = odd
        else:
            del data[place:]
    return bytes(data)
