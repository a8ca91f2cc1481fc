# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the target is in space: `camera_info` in, `~/bearing` and `~/marker` out."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3, Vector3Stamped
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from lorat_ros.boxes import Box
from lorat_ros.ros.health import RepeatFilter
from lorat_ros.ros.messages import header_message
from lorat_ros.ros.parameters import Parameters
from lorat_ros.ros.received import AnyHeader
from lorat_ros.target.bearing import Bearing, Calibration, Camera, CameraError

NAG_PERIOD = 5.0  # seconds before the log repeats a complaint
LENGTH = 3.0  # metres of the arrow while the target's distance is not known
LIFETIME = 1  # seconds that an arrow stays when nothing follows it
ORANGE = (1.0, 0.55, 0.1, 1.0)


class CameraInput:
    """Listens to `camera_info` and keeps the camera that it describes.

    :param node: whose `camera_info` it is.
    :param rectified: whether the boxes are of rectified images.
    """

    def __init__(self, node: Node, rectified: bool) -> None:
        self._node, self._rectified = node, rectified
        self._heard: Optional[Calibration] = None
        # Replaced as a whole: the executor hears, the worker reads.
        self._known: tuple[Optional[Camera], str] = (None, '')
        self._subscription = node.create_subscription(
            CameraInfo, 'camera_info', self._on_info,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
        self.topic = self._subscription.topic_name

    def camera(self) -> Camera:
        """Return the camera.

        :raises CameraError: nothing was heard of it yet, or it cannot be used.
        """
        camera, complaint = self._known
        if camera is not None:
            return camera
        raise CameraError(complaint or (
            f'no message on {self.topic} (sensor_msgs/msg/CameraInfo) yet: start the driver with '
            'a calibration, or remap camera_info to its topic'))

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        calibration = calibration_of(message)
        if calibration == self._heard:
            return
        self._heard = calibration
        try:
            self._known = (Camera(calibration, self._rectified), '')
        except CameraError as error:
            self._known = (None, f'{self.topic}: {error}')


class BearingPublishers:
    """`~/bearing` and `~/marker`, made only for those who listen.

    :param node: an inactive node; the topics are silent while it is not active.
    :param parameters: with ``target_width`` and ``image_rectified``.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters) -> None:
        self._node, self._parameters = node, parameters
        self._camera = CameraInput(node, parameters['image_rectified'])
        self._bearing = node.create_lifecycle_publisher(Vector3Stamped, '~/bearing',
                                                        QoSProfile(depth=1))
        self._marker = node.create_lifecycle_publisher(Marker, '~/marker', QoSProfile(depth=1))
        self._shown = False
        self._complaints = RepeatFilter(NAG_PERIOD)

    def publish(self, header: AnyHeader, box: Optional[Box], image_wh: tuple[int, int]) -> None:
        """
        Publish where one frame showed the target; nothing where it showed none.

        :param header: of the frame.
        :param box: measured, (x, y, w, h) in pixels; None removes the marker.
        :param image_wh: size of the frame.
        """
        listeners = [publisher for publisher in (self._bearing, self._marker)
                     if publisher.get_subscription_count()]
        if not listeners:
            return
        header = header_message(header)
        bearing = None if box is None else self._bearing_of(box, image_wh)
        if bearing is not None and self._bearing in listeners:
            self._bearing.publish(Vector3Stamped(header=header, vector=_vector(bearing)))
        if self._marker in listeners and (bearing is not None or self._shown):
            self._marker.publish(marker_message(header, self._node.get_name(), bearing,
                                                self._parameters['target_width']))
            self._shown = bearing is not None

    def close(self) -> None:
        """Give the topics back."""
        self._camera.close()
        for publisher in (self._bearing, self._marker):
            self._node.destroy_lifecycle_publisher(publisher)

    def _bearing_of(self, box: Box, image_wh: tuple[int, int]) -> Optional[Bearing]:
        try:
            camera = self._camera.camera()
            camera.check_image(image_wh)
            return camera.bearing(box)
        except CameraError as error:
            if self._complaints.allows(str(error)[:40]):
                self._node.get_logger().warning(f'no bearing: {error}')
            return None


def calibration_of(message: CameraInfo) -> Calibration:
    """Return what a CameraInfo says."""
    roi = message.roi
    return Calibration(
        image_wh=(message.width, message.height), model=message.distortion_model,
        k=_floats(message.k), d=_floats(message.d), r=_floats(message.r), p=_floats(message.p),
        binning_xy=(message.binning_x, message.binning_y),
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height))


def marker_message(header: Header, name: str, bearing: Optional[Bearing],
                   target_width: float) -> Marker:
    """Return an arrow from the camera to the target, or the removal of the last one.

    It is as long as the target is far, where that is known.
    """
    marker = Marker(header=header, ns=name, id=0, type=Marker.ARROW, action=Marker.DELETE)
    if bearing is None:
        return marker
    marker.action = Marker.ADD
    length = bearing.range(target_width) or LENGTH
    x, y, z = (float(value) * length for value in bearing.ray)
    marker.points = [Point(), Point(x=x, y=y, z=z)]
    marker.pose.orientation.w = 1.0
    marker.scale = Vector3(x=0.02 * length, y=0.05 * length, z=0.1 * length)  # shaft, head
    marker.color = ColorRGBA(**dict(zip('rgba', ORANGE)))
    marker.lifetime = Duration(sec=LIFETIME)
    return marker


def _vector(bearing: Bearing) -> Vector3:
    return Vector3(**{axis: float(value) for axis, value in zip('xyz', bearing.ray)})


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
