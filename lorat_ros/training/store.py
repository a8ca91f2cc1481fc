# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pictures that lie on disk, decoded when they are asked for and kept as long as there is room.

A training set need not fit into memory: what is kept has a limit in bytes, and what was used
longest ago goes first.
"""
from __future__ import annotations

import os
import threading
import warnings
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, Optional, overload, TypeVar

import cv2
import numpy as np

from lorat_ros.boxes import wh_of

#: A frame: any of the marks that begin a JPEG's header with its size, by their second byte.
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
           8: cv2.IMREAD_REDUCED_COLOR_8}
#: So many pictures in a row may be unreadable before training ends.
TRIES = 20


class PictureError(ValueError):
    """A file that is no picture; the message names it and the cure."""


class Picture(NamedTuple):
    """A picture as it is trained on, and how its file's pixels became its own."""

    image: np.ndarray                    # (height, width, 3) uint8 BGR
    scale: tuple[float, float]           # of x and y: 1 where nothing was shrunk


def size_of(data: bytes) -> Optional[tuple[int, int]]:
    """Width and height that the header of a JPEG or PNG file tells, None of any other file."""
    if data[:8] == b'\x89PNG\r\n\x1a\n' and len(data) >= 24:
        return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')
    place = 2
    while data[:2] == b'\xff\xd8' and place + 9 <= len(data) and data[place] == 0xFF:
        mark = data[place + 1]
        if mark in _JPEG_SIZES:
            height, width = (int.from_bytes(data[place + k:place + k + 2], 'big') for k in (5, 7))
            return width, height
        place += 1 if mark == 0xFF else 2 + int.from_bytes(data[place + 2:place + 4], 'big')
    return None


def shrunk_size(size: tuple[int, int], longest: Optional[int]) -> tuple[int, int]:
    """Width and height whose longer one is at most ``longest`` (None: as it is)."""
    if longest is None or max(size) <= longest:
        return size
    width, height = (max(1, round(side * longest / max(size))) for side in size)
    return width, height


def shrink(image: np.ndarray, longest: Optional[int]) -> Picture:
    """Make an image (height, width, 3) small enough, each pixel the mean of what it covers."""
    size = (image.shape[1], image.shape[0])
    goal = shrunk_size(size, longest)
    if goal != size:
        image = cv2.resize(image, goal, interpolation=cv2.INTER_AREA)
    return Picture(image, (goal[0] / size[0], goal[1] / size[1]))


def decode(data: bytes, where: str, longest: Optional[int] = None) -> Picture:
    """
    Decode a picture file's bytes, shrunk so that its longer side is at most ``longest``.

    :raises PictureError: it cannot be decoded; ``where`` names the file.
    """
    size = size_of(data)
    # A JPEG much larger than what is wanted is decoded at a half, a quarter or an eighth at once.
    factor = next((f for f in (8, 4, 2) if longest and size and max(size) >= f * longest
                   and data[:2] == b'\xff\xd8'), 1)
    try:
        # Turned as the camera's note in the file says? No: boxes are those of the stored pixels.
        flags = REDUCED.get(factor, cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise PictureError(f'{where} ({len(data)} bytes) cannot be decoded as an image: it is '
                           'cut off or of another kind; replace or remove it')
    small = shrink(image, longest)
    if factor == 1 or size is None:
        return small
    return Picture(small.image, (small.image.shape[1] / size[0], small.image.shape[0] / size[1]))


def read_picture(path: str, longest: Optional[int] = None) -> Picture:
    """Read and shrink a picture file; PictureError where it is missing or none."""
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise PictureError(f'{path} cannot be read ({error.strerror}): put it back, or remove '
                           'its line from the labels') from None
    return decode(data, path, longest)


def size_of_file(path: str) -> tuple[int, int]:
    """Width and height of a picture file, from its header where that is possible."""
    try:
        with open(path, 'rb') as file:
            size = size_of(file.read(65536))
    except OSError:
        size = None
    return size or wh_of(read_picture(path).image)


class Store:
    """Keeps what is dear to make, up to a number of bytes; threads may share it."""

    def __init__(self, megabytes: float = 3000.0) -> None:
        self.room = int(megabytes * 1e6)
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._pinned: dict[Hashable, tuple[Any, int]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What is held now."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether filling it beforehand should end: the rest is for what comes later."""
        return self._bytes > 0.9 * self.room

    def pin(self, shares: int) -> None:
        """
        Keep what is held now for good, and divide the room that is left by ``shares``.

        For processes that begin as copies of this one: what is pinned they have in common, and
        only what each adds takes memory of its own.
        """
        with self._lock:
            self._pinned.update(self._held)
            self.room = max((self.room - self._bytes) // shares, 0)
            self._held, self._bytes = OrderedDict(), 0

    def get(self, key: Hashable, make: Callable[[], Any],
            weigh: Callable[[Any], int] = lambda value: value.image.nbytes) -> Any:
        """Return what is held under ``key``, or make it and hold it."""
        found = self._pinned.get(key)
        if found is not None:
            return found[0]
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found[0]
        value = make()
        with self._lock:
            if key not in self._held:
                self._held[key] = value, weight = value, weigh(value) + 200
                self._bytes += weight
                while self._bytes > self.room and len(self._held) > 1:
                    self._bytes -= self._held.popitem(last=False)[1][1]
        return value

    def read(self, path: str, longest: Optional[int]) -> Picture:
        """Read a picture, or return it as it was read before."""
        return self.get((path, longest), lambda: read_picture(path, longest))


class Pictures(Sequence[np.ndarray]):
    """
    Pictures of one folder, each read when it is asked for.

    Names are held as bytes of one array: a set of fourteen million frames must fit, too.
    """

    def __init__(self, store: Store, folder: str | os.PathLike[str], names: Iterable[str],
                 longest: Optional[int] = None) -> None:
        self.store, self.folder, self.longest = store, os.fspath(folder), longest
        self._names = np.array([os.fsencode(name) for name in names], np.bytes_)

    def __len__(self) -> int:
        return len(self._names)

    def path(self, number: int) -> str:
        """Path of one picture's file."""
        return os.path.join(self.folder, os.fsdecode(bytes(self._names[number])))

    def picture(self, number: int) -> Picture:
        """One picture with its scale; PictureError where it cannot be read."""
        return self.store.read(self.path(number), self.longest)

    @overload
    def __getitem__(self, number: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, number: slice) -> list[np.ndarray]: ...

    def __getitem__(self, number: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        number = range(len(self))[number]
        for other in range(number, number + TRIES):
            try:
                return self.picture(other % len(self)).image
            except PictureError as error:
                last = error
                warnings.warn(f'{error} (another one was taken for it)', stacklevel=2)
        raise PictureError(f'{last}; nor can any of the {TRIES} pictures before it')


Link = TypeVar('Link')      # what a chain's sequences hold


class Chain(Sequence[Link]):
    """Sequences one after the other, seen as one."""

    def __init__(self, parts: Iterable[Sequence[Link]] = ()) -> None:
        self._parts: list[Sequence[Link]] = []
        self._ends: list[int] = []
        for part in parts:
            self.append(part)

    @property
    def parts(self) -> tuple[Sequence[Link], ...]:
        """The sequences that it is made of."""
        return tuple(self._parts)

    def append(self, part: Sequence[Link]) -> None:
        """Put one more sequence at the end."""
        if len(part):
            self._parts.append(part)
            self._ends.append(len(self) + len(part))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, number: int) -> Link: ...

    @overload
    def __getitem__(self, number: slice) -> list[Link]: ...

    def __getitem__(self, number: int | slice) -> Link | list[Link]:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        part = bisect_right(self._ends, number)
        return self._parts[part][number - (self._ends[part - 1] if part else 0)]
