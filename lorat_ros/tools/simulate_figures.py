# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in the flights of `lorat simulate`, the figures of it, and what they must be."""
from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from lorat_ros.boxes import Box, iou_xywh

if TYPE_CHECKING:
    from lorat_ros.tools.simulate_world import Vehicle

BAND_DEGREES, BAND_RANGE = 2.5, 0.1  # in which a step response counts as settled
WARM_UP = 3.0  # seconds that a follower has to take up a moving target
PROMISE = 0.2  # seconds from the report of a loss, or the last image, to the zero command
NANOSECOND = 1e-9


@dataclass
class Flight:
    """One row per frame; times in seconds since the follower was enabled.

    ``azimuth`` (degrees, left is positive) and ``range`` (metres) are where the target truly is,
    ``forward`` and ``yaw_rate`` (degrees/s) what the vehicle does. ``overlap`` is that of the
    tracker's box with the truth: nan where there is no target, 0 where there is no box. ``seen``:
    the tracker said a box. ``commands`` are rows of time, forward, up, yaw rate (rad/s), with the
    times of their stamps.
    """

    t: list[float] = field(default_factory=list)
    azimuth: list[float] = field(default_factory=list)
    range: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    yaw_rate: list[float] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)
    commands: list[tuple[float, float, float, float]] = field(default_factory=list)
    silent_from: Optional[float] = None

    def add(self, t: float, vehicle: Vehicle, place: tuple[float, float], truth: Optional[Box],
            box: Optional[Box]) -> None:
        """Note one frame; ``truth``: None where there is no target or no image."""
        point = np.array((*place, 0.0))
        self.t.append(t)
        self.azimuth.append(math.degrees(vehicle.azimuth(point)))
        self.range.append(float(np.linalg.norm(point - vehicle.position)))
        self.forward.append(vehicle.forward)
        self.yaw_rate.append(math.degrees(vehicle.yaw_rate))
        self.seen.append(box is not None)
        overlap = 0.0 if box is None else float(iou_xywh(np.array(box), np.array(truth or box)))
        self.overlap.append(overlap if truth is not None else float('nan'))


class Figure(NamedTuple):
    """A measured value, its unit and the most that it may be."""

    name: str
    value: float
    unit: str
    most: Optional[float] = None

    @property
    def fails(self) -> bool:
        """Whether the limit is broken; what could not be measured breaks it."""
        return self.most is not None and not self.value <= self.most


def step_figures(flight: Flight, distance: float) -> list[Figure]:
    """How fast a target aside is brought to the middle, and its distance right."""
    t, azimuth = np.array(flight.t), np.array(flight.azimuth)
    off = np.abs(np.array(flight.range) - distance) > BAND_RANGE * distance
    past = -np.sign(azimuth[0]) * azimuth / abs(azimuth[0])
    return [
        Figure('settling time of the direction', _settled(t, np.abs(azimuth) > BAND_DEGREES), 's',
               3.0),
        Figure('overshoot of the direction', 100 * max(float(past.max()), 0.0), '%', 15.0),
        Figure('settling time of the range', _settled(t, off), 's', 8.0),
        Figure('direction at the end', abs(float(azimuth[-1])), 'degrees', BAND_DEGREES),
        *_tracking(flight)]


def moving_figures(flight: Flight, distance: float) -> list[Figure]:
    """How well a moving target is kept."""
    late = np.array(flight.t) > WARM_UP
    azimuth, ranges = np.array(flight.azimuth)[late], np.array(flight.range)[late]
    return [
        Figure('direction, root mean square', _rms(azimuth), 'degrees', 8.0),
        Figure('direction, worst', float(np.abs(azimuth).max(initial=0)), 'degrees', 15.0),
        Figure('range error, root mean square', _rms(ranges - distance), 'm', 8.0),
        *_tracking(flight)]


def loss_figures(flight: Flight, distance: float) -> list[Figure]:
    """What is commanded after the target has gone."""
    t, gone = np.array(flight.t), np.isnan(flight.overlap)
    vanished = _first(t, gone)
    reported = _first(t, gone & ~np.array(flight.seen))
    return [
        Figure('from vanishing to the report', reported - vanished, 's', 0.5),
        Figure('from the report to the zero command', _zero(flight, reported) - reported, 's',
               PROMISE),
        Figure('most that was commanded before', _most(flight, 0.0, vanished), 'm/s or rad/s'),
        Figure(f'most that is commanded {PROMISE} s after the report',
               _most(flight, reported + PROMISE), 'm/s or rad/s', 0.0)]


def silence_figures(flight: Flight, distance: float) -> list[Figure]:
    """What is commanded after the last image."""
    last = math.nan if flight.silent_from is None else flight.silent_from
    return [
        Figure('from the last image to the zero command', _zero(flight, last + NANOSECOND) - last,
               's', PROMISE),
        Figure('most that was commanded before', _most(flight, 0.0, last), 'm/s or rad/s'),
        Figure(f'most that is commanded {PROMISE} s after it', _most(flight, last + PROMISE),
               'm/s or rad/s', 0.0)]


#: The figures of each scenario.
FIGURES = MappingProxyType({'step': step_figures, 'moving': moving_figures, 'loss': loss_figures,
                            'silence': silence_figures})


def save_flights(path: str, flights: Mapping[str, Flight]) -> None:
    """Write them as JSON."""
    Path(path).write_text(json.dumps({name: asdict(flight) for name, flight in flights.items()}))


def load_flights(path: Path) -> dict[str, Flight]:
    """Read what :func:`save_flights` wrote."""
    return {name: Flight(**row) for name, row in json.loads(path.read_text()).items()}


def _tracking(flight: Flight) -> list[Figure]:
    overlap = np.array(flight.overlap)
    return [Figure('frames without the target', 100 * float((overlap < 0.3).mean()), '%', 5.0)]


def _settled(t: np.ndarray, outside: np.ndarray) -> float:
    """Time of the last row outside; nan if that is the last of all."""
    if not outside.any():
        return 0.0
    return float('nan') if outside[-1] else float(t[np.flatnonzero(outside)[-1]])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values ** 2))) if len(values) else float('nan')


def _first(t: np.ndarray, where: np.ndarray) -> float:
    return float(t[np.argmax(where)]) if where.any() else float('nan')


def _zero(flight: Flight, begin: float) -> float:
    """Time of the first command from ``begin`` on after which all are zero; nan if none is."""
    commands = np.array([row for row in flight.commands if row[0] >= begin]).reshape(-1, 4)
    moving = np.flatnonzero(commands[:, 1:].any(axis=1))
    first = int(moving[-1]) + 1 if len(moving) else 0
    return float(commands[first, 0]) if first < len(commands) else float('nan')


def _most(flight: Flight, begin: float, end: float = math.inf) -> float:
    """Largest component of the commands of a time; nan if there are none, or it is not known."""
    sizes = [max(map(abs, row[1:])) for row in flight.commands if begin <= row[0] <= end]
    return max(sizes, default=float('nan'))
