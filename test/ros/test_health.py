# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says, from counts and times."""
from __future__ import annotations

import time

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lorat_ros.ros.health import UNCOUNTED, WINDOW, Health, RepeatFilter


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_before_the_first_frame() -> None:
    report = Health().image_report('eye: image input', {'topic': '/t'}, 'no image on /t')
    assert (report.name, report.level) == ('eye: image input', DiagnosticStatus.ERROR)
    assert report.message == 'no image on /t'
    assert values(report) == {
        'topic': '/t', 'picture': 'none yet', 'fps': '0.0', 'received': '0', 'processed': '0',
        'dropped': '0', 'failed': '0', 'missed': '0', 'age p50/p95 [ms]': 'none yet',
        'age beside network p50/p95 [ms]': 'none yet',
        'last error': 'none'}


def test_what_nobody_can_count_is_not_zero() -> None:
    health = Health()
    health.count_received(dropped=False, missed=2)
    assert values(health.image_report('n', {}, ''))['missed'] == '2'
    health.count_received(dropped=False, missed=None)
    health.count_received(dropped=False)
    assert values(health.image_report('n', {}, ''))['missed'] == UNCOUNTED


def test_frames_are_counted_and_timed() -> None:
    health = Health()
    for index in range(100):
        health.count_received(dropped=index < 10)
        health.count_processed({'network': float(index), 'age': 20.0}, '4x3 bgr8')
    report = health.image_report('n', {}, '')
    assert report.level == DiagnosticStatus.OK and 'frames per second' in report.message
    found = values(report)
    assert (found['received'], found['processed'], found['dropped']) == ('100', '100', '10')
    assert (found['picture'], found['age p50/p95 [ms]']) == ('4x3 bgr8', '20.00 / 20.00')
    engine = health.engine_report('e', {'model': 'm'}, '')
    assert engine.level == DiagnosticStatus.OK
    assert (engine.message, engine.hardware_id) == ('ready', 'm')
    assert values(engine) == {'model': 'm', 'network p50/p95 [ms]': '49.50 / 94.05'}


def test_the_networks_processor_time_has_a_mean() -> None:
    health = Health()
    assert health.mean('network_cpu') is None
    for value in (1.0, 1.0, 4.0):
        health.count_processed({'network_cpu': value}, '')
    assert values(health.engine_report('e', {}, ''))['network_cpu mean [ms]'] == '2.000'
    assert 'network_cpu mean [ms]' not in values(health.engine_report('e', {}, 'no model'))


def test_times_of_debug_images_are_told_while_somebody_looks(
        monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health()
    assert health.stages() == {}
    health.count_drawn(3.0)
    assert health.stages() == {'debug image p50/p95 [ms]': '3.00 / 3.00'}
    later = time.monotonic() + 6.0
    monkeypatch.setattr(time, 'monotonic', lambda: later)
    assert health.stages() == {}


def test_only_the_last_frames_count_for_times() -> None:
    health = Health()
    for value in [1000.0] * WINDOW + [1.0] * WINDOW:
        health.count_processed({'network': value}, '')
    assert health.stages() == {'network p50/p95 [ms]': '1.00 / 1.00'}


def test_a_bad_frame_is_a_warning_that_names_it() -> None:
    health = Health()
    health.count_failed(ValueError('no size'))
    report = health.image_report('n', {}, '')
    assert report.level == DiagnosticStatus.WARN and 'no size' in report.message
    assert (values(report)['failed'], values(report)['last error']) == ('1', 'no size')


def test_without_an_engine_the_reason_is_an_error() -> None:
    report = Health().engine_report('e', {}, 'no such model')
    assert (report.level, report.message) == (DiagnosticStatus.ERROR, 'no such model')


def test_silence_counts_from_the_last_image_or_from_the_beginning() -> None:
    health, now = Health(), time.monotonic()
    assert health.silence(now + 3.0, now) == 3.0
    health.count_received(dropped=False)
    assert health.silence(health.last_image + 0.5, health.last_image - 100) == 0.5
    assert health.silence(health.last_image + 9.0, health.last_image + 8.0) == 1.0


def test_frames_that_come_to_nothing_are_not_results() -> None:
    health, now = Health(), time.monotonic()
    health.count_received(dropped=False)
    health.count_failed(ValueError('no engine'))
    assert health.unprocessed(now + 3.0, now) == pytest.approx(3.0)
    assert health.frame_age is None
    health.count_processed({}, '')
    assert health.unprocessed(health.last_result + 0.5, now - 100) == pytest.approx(0.5)
    assert health.frame_age >= 0.0


def test_a_repeated_message_waits_its_time() -> None:
    impatient, patient = RepeatFilter(0.0), RepeatFilter(3600.0)
    assert [impatient.allows('a'), impatient.allows('a')] == [True, True]
    assert [patient.allows(kind) for kind in 'aabab'] == [True, False, True, False, False]
