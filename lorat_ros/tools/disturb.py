# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sequences made harder: the target is hidden for a while, and the view jumps.

Both are drawn into the frames by a fixed schedule, so that every model meets the same. The truth
is known: where the target is on every frame, and whether it can be seen.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from lorat_ros.boxes import Box, centre_xywh, clip_xywh

PERIOD = 150        # frames until the schedule begins again
HIDE_AT = 25        # frame of each period at which the target vanishes
HIDDEN_FOR = 30     # frames
JUMP_AT = 115       # frame of each period at which the view jumps; the next jump leads back
LATER = 20          # frames by which each repeat has all that later
FAR = (4.0, 3.0, 2.0, 1.5)     # lengths of a jump in sides of the target, the first that fits
MARGIN = 0.15       # of the target's sides that its cover reaches beyond it


@dataclass(frozen=True)
class Disturbed:
    """One frame: (height, width, 3) uint8, where the target is, and whether it is to be seen."""

    image: np.ndarray
    truth: np.ndarray       # (4,) xywh, nan where the sequence itself does not know it
    visible: bool


@dataclass(frozen=True)
class Event:
    """Something that takes the target away: at ``start``, and back from ``end`` on."""

    kind: str               # 'hidden' or 'jump'
    start: int
    end: int


def events_of(length: int, repeat: int = 0) -> list[Event]:
    """
    All that happens in a sequence of so many frames, in order of time.

    :param repeat: how often it was played before: each time all happens at other moments.
    """
    hide, jump = ((at + LATER * repeat) % PERIOD for at in (HIDE_AT, JUMP_AT))
    found = []
    for period in range(0, length, PERIOD):
        found += [Event('hidden', period + hide, period + hide + HIDDEN_FOR),
                  Event('jump', period + jump, period + jump)]
    return sorted((event for event in found if event.start < length),
                  key=lambda event: event.start)


def disturbed(images: Iterable[np.ndarray], truth: np.ndarray, repeat: int = 0
              ) -> Iterator[Disturbed]:
    """
    Draw the events into a sequence.

    :param images: (height, width, 3) uint8 each.
    :param truth: (n, 4) xywh in pixels, nan where the target is absent.
    :param repeat: see ``events_of``.
    """
    offset = np.zeros(2)
    events = events_of(len(truth), repeat)
    jumps = {event.start for event in events if event.kind == 'jump'}
    hidden = {frame for event in events if event.kind == 'hidden'
              for frame in range(event.start, event.end)}
    for number, (image, box) in enumerate(zip(images, truth)):
        known = bool(np.isfinite(box).all())
        size_wh = image.shape[1], image.shape[0]
        if number in jumps:
            offset = np.zeros(2) if offset.any() else \
                jump_of(tuple(box), size_wh) if known else offset
        visible = known and number not in hidden
        if known and number in hidden:
            image = cover(image, tuple(box))
        if offset.any():
            shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
            image = cv2.warpAffine(image, shift, size_wh, borderMode=cv2.BORDER_REPLICATE)
        there = box + [*offset, 0.0, 0.0]
        if visible:
            inside = clip_xywh(there, size_wh)
            visible = inside[2] * inside[3] >= 0.5 * there[2] * there[3]
        yield Disturbed(image, there, visible)


def jump_of(box: Box, size_wh: tuple[int, int]) -> np.ndarray:
    """
    Shift (2,) of the view, in whole pixels, that takes a target far away within the image.

    The longest of ``FAR`` after which the target is still wholly in the image; no shift if there
    is none.
    """
    side, (x, y) = float(np.sqrt(box[2] * box[3])), centre_xywh(box)
    for far in FAR:
        ways = [np.round(side * far * np.array((np.cos(angle), np.sin(angle))))
                for angle in np.arange(16) * np.pi / 8]
        # How far from the nearest border the target then is; of several, the first.
        room = [min(x + dx - box[2] / 2, size_wh[0] - x - dx - box[2] / 2,
                    y + dy - box[3] / 2, size_wh[1] - y - dy - box[3] / 2) for dx, dy in ways]
        if max(room) >= 0:
            return ways[int(np.argmax(room))]
    return np.zeros(2)


def cover(image: np.ndarray, box: Box) -> np.ndarray:
    """Hide a box (and a little around it) behind a piece of the same image from elsewhere."""
    height, width = image.shape[:2]
    x, y, w, h = box
    low = np.floor((max(x - MARGIN * w, 0), max(y - MARGIN * h, 0))).astype(int)
    high = np.ceil((min(x + (1 + MARGIN) * w, width), min(y + (1 + MARGIN) * h, height))
                   ).astype(int)
    wide, tall = high - low
    hidden = image.copy()
    if wide <= 0 or tall <= 0:
        return hidden
    # The corner that is farthest from the target shows it least.
    left = width - wide if x + w / 2 < width / 2 else 0
    top = height - tall if y + h / 2 < height / 2 else 0
    apart = abs(left - low[0]) >= wide or abs(top - low[1]) >= tall
    hidden[low[1]:high[1], low[0]:high[0]] = (
        image[top:top + tall, left:left + wide] if apart else image.mean((0, 1)))
    return hidden
