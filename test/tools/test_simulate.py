# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A flight in a real graph, its arithmetic, and a figure that breaks its limit."""
from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from lorat_ros.target.bearing import Camera
from lorat_ros.target.follow import Command, STOP
from lorat_ros.tools import cli
from lorat_ros.tools.simulate_figures import (Figure, FIGURES, Flight, load_flights, loss_figures,
                                              save_flights, silence_figures, step_figures)
from lorat_ros.tools.simulate_world import (CALIBRATION, DELAY, HEIGHT, SCENARIOS, SIZE_WH, Studio,
                                            TARGET_WIDTH, Vehicle)


def flight_of(rows: list[tuple]) -> Flight:
    """Rows of t, azimuth, range, seen, overlap."""
    flight = Flight()
    for t, azimuth, distance, seen, overlap in rows:
        for name, value in zip(('t', 'azimuth', 'range', 'seen', 'overlap', 'forward',
                                'yaw_rate'), (t, azimuth, distance, seen, overlap, 0.0, 0.0)):
            getattr(flight, name).append(value)
    return flight


def values(figures: list[Figure]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


# -- the world ----------------------------------------------------------------------------------

@pytest.mark.parametrize('place', [(24.0, 0.0), (30.0, 8.0)])
def test_the_truth_is_around_what_is_painted(place: tuple) -> None:
    studio, vehicle = Studio(), Vehicle()
    vehicle.yaw = 0.1
    with_it, without = (studio.frame(vehicle, there, 1).astype(int) for there in (place, None))
    assert with_it.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    painted = (np.abs(with_it - without).max(axis=2) > 30).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(painted)
    assert studio.true_box(vehicle, place) == pytest.approx((x, y, w, h), abs=3.0)


def test_its_range_is_in_the_width_of_the_box() -> None:
    vehicle = Vehicle()
    bearing = Camera(CALIBRATION).bearing(Studio().true_box(vehicle, (24.0, 3.0)))
    far = math.dist((24.0, 3.0, 0.0), vehicle.position)
    assert bearing.range(TARGET_WIDTH) == pytest.approx(far, rel=0.03)


def test_the_vehicle_flies_as_commanded_with_delay_and_lag() -> None:
    vehicle = Vehicle()
    for _ in range(DELAY):
        vehicle.step(Command(2.0, 0.5, 0.3), 0.05)
    assert vehicle.position == pytest.approx((0.0, 0.0, HEIGHT))  # not yet
    vehicle.step(STOP, 0.05)
    assert 0 < vehicle.forward < 1.0
    for _ in range(100):
        vehicle.step(Command(2.0, 0.5, 0.3), 0.05)
    assert (vehicle.forward, vehicle.up, vehicle.yaw_rate) == pytest.approx((2.0, 0.5, 0.3),
                                                                            rel=0.01)
    assert vehicle.yaw == pytest.approx(0.3 * 5, abs=0.1)


def test_left_is_positive() -> None:
    vehicle = Vehicle()
    assert vehicle.azimuth(np.array((1.0, 1.0, 0.0))) == pytest.approx(math.pi / 4)
    vehicle.yaw = math.pi / 2
    assert vehicle.azimuth(np.array((1.0, 0.0, 0.0))) == pytest.approx(-math.pi / 2)


# -- the figures --------------------------------------------------------------------------------

def test_a_step_response_is_measured() -> None:
    path = [(0, 20, 30), (1, 10, 28), (2, -3, 26), (3, 2, 24), (4, 0, 25), (5, 0, 25)]
    found = values(step_figures(flight_of([(*row, True, 0.9) for row in path]), 25.0))
    assert found['settling time of the direction'] == 2
    assert found['overshoot of the direction'] == pytest.approx(15.0)
    assert found['settling time of the range'] == 1
    assert found['frames without the target'] == 0


def test_what_never_settles_fails() -> None:
    flight = flight_of([(t, 20, 30, True, 0.9) for t in range(5)])
    assert {f.name for f in step_figures(flight, 25.0) if f.fails} == {
        'settling time of the direction', 'settling time of the range', 'direction at the end'}


def loss(zero_at: float) -> Flight:
    """Gone at 1.0, reported at 1.2; the commands are zero from `zero_at` on."""
    times = np.arange(0, 2, 0.1).round(1)
    flight = flight_of([(float(t), 0, 25, bool(t < 1.15), 0.9 if t < 0.95 else math.nan)
                        for t in times])
    flight.commands = [(float(t), 1.5 * (t < zero_at), 0.0, 0.2 * (t < zero_at)) for t in times]
    return flight


def test_a_loss_is_measured_from_vanishing_and_from_its_report() -> None:
    in_time = loss_figures(loss(1.25), 25.0)
    found = list(values(in_time).values())
    assert found == pytest.approx([0.2, 0.1, 1.5, 0.0])
    assert not any(figure.fails for figure in in_time)
    late = loss_figures(loss(1.55), 25.0)
    assert values(late)['from the report to the zero command'] == pytest.approx(0.4)
    assert sum(figure.fails for figure in late) == 2
    never = loss_figures(loss(9.0), 25.0)
    assert math.isnan(values(never)['from the report to the zero command'])
    assert sum(figure.fails for figure in never) == 2


def test_silence_is_measured_from_the_last_image() -> None:
    flight = loss(1.05)
    flight.silent_from = 0.9
    found = silence_figures(flight, 25.0)
    assert values(found)['from the last image to the zero command'] == pytest.approx(0.2)
    assert values(found)['most that was commanded before'] == 1.5


def test_flights_come_back_from_their_file(tmp_path: Path) -> None:
    flight = loss(1.0)
    save_flights(str(tmp_path / 'flights.json'), {'loss': flight})
    back = load_flights(tmp_path / 'flights.json')['loss']
    assert back.t == flight.t and back.azimuth == flight.azimuth
    assert loss_figures(back, 25.0) == loss_figures(flight, 25.0)


def test_every_scenario_has_figures() -> None:
    assert FIGURES.keys() == SCENARIOS.keys()


# -- the command --------------------------------------------------------------------------------

def test_a_flight_in_a_real_graph(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The target is gone, and then the camera: the drone stops in time both times."""
    status = cli.main(['simulate', '--scenario', 'loss', '--scenario', 'silence', '--output',
                       str(tmp_path)])
    said = capsys.readouterr()
    assert status == 0, said.out + said.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['loss']['from the report to the zero command']['value'] <= 0.2
    assert figures['loss']['most that was commanded before']['value'] > 1.0  # it did follow
    assert figures['silence']['from the last image to the zero command']['value'] <= 0.2
    assert cv2.imread(str(tmp_path / 'flights.png')).shape[0] > 300
    flight = load_flights(tmp_path / 'flights.json')['loss']
    assert np.nanmean(flight.overlap) > 0.5


@pytest.mark.parametrize('change', ['yaw_gain', '=2'])
def test_a_change_without_a_value_is_refused(change: str, tmp_path: Path,
                                             capsys: pytest.CaptureFixture) -> None:
    assert cli.main(['simulate', '--set', change, '--output', str(tmp_path / 'x')]) == 2
    assert 'expected NAME=VALUE' in capsys.readouterr().err
    assert not (tmp_path / 'x').exists()
