# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How large images are, and whether the tracker gets those that we see."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
from lorat_ros.ros import image_watch
from lorat_ros.ros.image_watch import image_size, ImageWatch, SILENCE
from lorat_ros.ros.messages import nanoseconds
from sensor_msgs.msg import CameraInfo, RegionOfInterest

SECOND = 10**9
PATIENCE = 2.0


class Camera:
    """Tells an ImageWatch of images, at moments of its own clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the watch; no time passes by itself."""
        self.now, self._hear = 100.0, {}
        monkeypatch.setattr(image_watch, 'time', SimpleNamespace(monotonic=lambda: self.now))
        node = SimpleNamespace(create_subscription=lambda kind, topic, hear, qos:
                               self._hear.update({topic: hear}))
        self.watch = ImageWatch(node, 'raw')

    def show(self, stamp: int, wait: float = 0.1, width: int = 320) -> None:
        """One image, so long after the one before."""
        self.now += wait
        info = CameraInfo(width=width, height=240)
        info.header.stamp.sec, info.header.stamp.nanosec = divmod(stamp, SECOND)
        self._hear['camera_info'](info)
        assert self.watch.seen[:3] == ((width, 240), nanoseconds(info.header.stamp), self.now)

    @property
    def is_shared(self) -> bool:
        """Whether the tracker gets its images, too."""
        return self.watch.seen.is_shared(PATIENCE)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    return Camera(monkeypatch)


def test_a_camera_is_shared_once_the_tracker_has_processed_an_image_of_it(camera: Camera) -> None:
    camera.show(50 * SECOND)
    assert not camera.is_shared
    camera.watch.processed(50 * SECOND)
    assert camera.is_shared
    camera.show(51 * SECOND)
    assert camera.is_shared


def test_the_tracker_may_be_faster_than_what_tells_us_of_the_image(camera: Camera) -> None:
    camera.watch.processed(50 * SECOND)
    camera.show(50 * SECOND)
    assert camera.is_shared


@pytest.mark.parametrize(('wait', 'width'), [(0.1, 200), (SILENCE + 0.1, 320)])
def test_another_camera_is_not_shared_because_the_one_before_was(
        camera: Camera, wait: float, width: int) -> None:
    """Or the same one, started again: the tracker has yet to be connected with it."""
    camera.show(50 * SECOND)
    camera.watch.processed(50 * SECOND)
    camera.show(50 * SECOND + SECOND // 2, wait, width)
    assert not camera.is_shared
    camera.watch.processed(50 * SECOND)     # belated, of the one before
    assert not camera.is_shared
    camera.watch.processed(50 * SECOND + SECOND // 2)
    assert camera.is_shared


def test_a_tracker_that_is_too_far_behind_gets_them_no_more(camera: Camera) -> None:
    camera.show(50 * SECOND)
    camera.watch.processed(50 * SECOND)
    for n in range(1, 4):
        camera.show((50 + n) * SECOND)
        assert camera.is_shared == (n <= PATIENCE)
    assert camera.watch.seen.is_shared(3.0)


def test_a_clock_that_steps_back_begins_no_other_camera(camera: Camera) -> None:
    camera.show(50 * SECOND)
    camera.show(10 * SECOND)
    assert not camera.is_shared
    camera.watch.processed(10 * SECOND)
    assert camera.is_shared


def test_where_no_image_reaches_us_the_newest_is_that_of_the_tracker(camera: Camera) -> None:
    camera.show(50 * SECOND)
    camera.watch.processed(51 * SECOND)
    assert camera.watch.seen.stamp == 50 * SECOND
    camera.now += SILENCE + 0.1
    camera.watch.processed(53 * SECOND)
    assert camera.watch.seen.stamp == 53 * SECOND and camera.is_shared


def test_the_size_of_a_region_and_of_binned_images_is_that_of_the_image() -> None:
    info = CameraInfo(width=1920, height=1080)
    assert image_size(info) == (1920, 1080)
    info.binning_x = info.binning_y = 2
    assert image_size(info) == (960, 540)
    info.roi = RegionOfInterest(x_offset=100, y_offset=50, width=800, height=600)
    assert image_size(info) == (400, 300)
