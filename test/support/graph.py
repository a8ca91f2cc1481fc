# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The other side of the graph: a camera, an operator and a listener in one rclpy node."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from lorat_ros.ros.images import image_message
from lorat_ros.ros.messages import point_of
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.client import Client as ServiceClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from support.picture import picture, TARGET
from vision_msgs.msg import Detection2D, Detection2DArray

PATIENCE = 30.0  # seconds; a busy machine is no failure
TRANSITIONS = {'configure': Transition.TRANSITION_CONFIGURE,
               'activate': Transition.TRANSITION_ACTIVATE,
               'deactivate': Transition.TRANSITION_DEACTIVATE,
               'cleanup': Transition.TRANSITION_CLEANUP}


class Client:
    """Talks to one tracker node from outside.

    :param node_name: full name of the tracker.
    :param image_topic: where it listens for images; with `compressed` for CompressedImage.
    """

    def __init__(self, node_name: str, image_topic: str = '/image', image_qos: Any = None,
                 compressed: bool = False) -> None:
        self.context, self.name = Context(), node_name
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('client', context=self.context,
                                      namespace=node_name.rsplit('/', 1)[0] or '/')
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.arrays: list[Detection2DArray] = []
        self.singles: list[Detection2D] = []
        self.statuses: list[DiagnosticStatus] = []
        self.health: dict[str, DiagnosticStatus] = {}
        self._seconds = itertools.count(1000)
        self._camera = (CompressedImage if compressed else Image, image_topic, image_qos or 1)
        self._image = self.node.create_publisher(*self._camera)
        self._reliable = image_qos is None
        self._paused, self.sent = False, 0
        self._clients: dict[str, ServiceClient] = {}
        self._init_box = self.node.create_publisher(Detection2D, f'{node_name}/init_box', 1)
        listen = self.node.create_subscription
        listen(Detection2DArray, f'{node_name}/detections', self.arrays.append, 100)
        listen(Detection2D, f'{node_name}/detection', self.singles.append, 100)
        listen(DiagnosticArray, f'{node_name}/status', lambda m: self.statuses.extend(m.status),
               QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        listen(DiagnosticArray, '/diagnostics', self._on_health, 10)

    def close(self) -> None:
        """Leave the graph."""
        self.executor.remove_node(self.node)
        self.node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)

    # -- waiting ------------------------------------------------------------------------------

    def wait_until(self, done: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Spin until `done` returns something true, and return that; AssertionError if never."""
        deadline = time.monotonic() + patience
        while not (value := done()):
            assert time.monotonic() < deadline, f'{what}: not within {patience} s'
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def spin_for(self, seconds: float) -> None:
        """Listen for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def wait_for_matches(self) -> None:
        """Wait until the tracker hears us and we hear the tracker."""
        self.wait_until(lambda: self._image.get_subscription_count() > 0
                        and self._init_box.get_subscription_count() > 0
                        and self.node.count_publishers(f'{self.name}/detections') > 0,
                        'the tracker subscribes')
        if self._reliable:  # with `auto` it subscribes once more: a frame in between is lost
            self.health.pop('image input', None)
            self.wait_for_health('image input', 'reliable, volatile')
        # Endpoints that see each other may still not exchange data: prove it with a frame.
        self.wait_until(self._answered_a_probe, 'the tracker answers a frame')

    def _answered_a_probe(self) -> bool:
        seen = len(self.arrays)
        self.send(self.frame())
        self.spin_for(0.3)
        return len(self.arrays) > seen

    # -- camera -------------------------------------------------------------------------------

    def header(self, stamp: Optional[int] = None) -> Header:
        """Return a header with a stamp of its own (whole seconds, or `stamp` nanoseconds)."""
        nanoseconds = next(self._seconds) * 10**9 + 123456789 if stamp is None else stamp
        return Header(frame_id='camera/optical frame',
                      stamp=Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9))

    def frame(self, image: Optional[np.ndarray] = None, stamp: Optional[int] = None) -> Image:
        """Return a bgr8 message with a header of its own."""
        return image_message(picture() if image is None else image, self.header(stamp))

    def send(self, message: Any) -> None:
        """Publish an image message."""
        self.sent += 1
        self._image.publish(message)

    def exchange(self, message: Any) -> Detection2DArray:
        """Publish a frame and return the array that answers it: the one with its header."""
        self.send(message)
        return self.wait_until(lambda: self.answer_to(message), 'an answer to the frame')

    def answer_to(self, message: Any) -> Optional[Detection2DArray]:
        """Return the array with this frame's header, if it has come."""
        return next((a for a in self.arrays if a.header == message.header), None)

    def unplug(self) -> None:
        """End the camera; its topic has no publisher then."""
        self.node.destroy_publisher(self._image)

    def plug_in(self) -> None:
        """Begin a camera anew, on the same topic, and wait until it is heard."""
        self._image = self.node.create_publisher(*self._camera)
        self.wait_for_matches()

    # -- operator -----------------------------------------------------------------------------

    def send_box(self, box: Sequence[float], target_id: str = '', stamp: int = 0) -> None:
        """Ask for a target, (x, y, w, h) in pixels, and wait until the tracker took note."""
        seen = len(self.statuses)
        message = Detection2D(header=self.header(stamp), id=target_id)
        x, y, w, h = (float(v) for v in box)
        centre = point_of(message.bbox.center)
        centre.x, centre.y = x + w / 2, y + h / 2
        message.bbox.size_x, message.bbox.size_y = w, h
        self._init_box.publish(message)
        self.wait_until(lambda: any(value_of(s, 'init').startswith(('waiting', 'refused'))
                                    for s in self.statuses[seen:]), 'the box was taken note of')

    def track(self, box: Sequence[float] = TARGET, target_id: str = '') -> Detection2D:
        """Start a target on a new frame, and return its first detection."""
        self.send_box(box, target_id)
        return self.exchange(self.frame()).detections[0]

    # -- listener -----------------------------------------------------------------------------

    def wait_for_status(self, **wanted: str) -> DiagnosticStatus:
        """Wait until the latest status holds these texts, each contained in its value."""
        def fits() -> Optional[DiagnosticStatus]:
            if self.statuses and all(text in value_of(self.statuses[-1], key)
                                     for key, text in wanted.items()):
                return self.statuses[-1]
            return None
        return self.wait_until(fits, f'a status with {wanted}')

    def wait_for_health(self, part: str, text: str) -> DiagnosticStatus:
        """Wait until the diagnostics of 'engine' or 'image input' say this somewhere."""
        def fits() -> Optional[DiagnosticStatus]:
            status = self.health.get(part)
            said = '' if status is None else status.message + ''.join(
                value.value for value in status.values)
            return status if text in said else None
        return self.wait_until(fits, f'diagnostics of {part} with {text!r}')

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name, _, part = status.name.partition(': ')
            if f'/{name}' == self.name:
                self.health[part] = status

    # -- services -----------------------------------------------------------------------------

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Call one of the tracker's services and return the response."""
        if name not in self._clients:      # each costs its discovery: once
            self._clients[name] = self.node.create_client(kind, f'{self.name}/{name}')
        client = self._clients[name]
        self.wait_until(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        return self.wait_until(lambda: future.done() and future.result(), f'an answer of {name}')

    def transition(self, name: str) -> bool:
        """Ask for a lifecycle transition; returns whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return self.call(ChangeState, 'change_state', request).success

    def lifecycle(self) -> str:
        """Return the name of the lifecycle state."""
        return self.call(GetState, 'get_state', GetState.Request()).current_state.label

    def reset(self) -> bool:
        """Call `~/reset`."""
        return self.call(Trigger, 'reset', Trigger.Request()).success

    def enable(self, on: bool) -> bool:
        """Call `~/enable`; after a pause wait until frames arrive again."""
        success = self.call(SetBool, 'enable', SetBool.Request(data=on)).success
        if success and on and self._paused:
            self.wait_for_matches()
        self._paused = success and not on
        return success

    @property
    def is_watched(self) -> bool:
        """Whether anybody subscribes to our images."""
        return self._image.get_subscription_count() > 0

    def set_parameter(self, name: str, value: Any) -> str:
        """Set a parameter; returns why it was refused, or nothing."""
        return self.set_parameters({name: value})

    def set_parameters(self, values: Mapping[str, Any]) -> str:
        """Set parameters one after the other; returns why any was refused, or nothing."""
        request = SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
        results = self.call(SetParameters, 'set_parameters', request).results
        return '; '.join(result.reason for result in results if not result.successful)

    def parameters(self) -> list[str]:
        """Return the names of all parameters."""
        return self.call(ListParameters, 'list_parameters',
                         ListParameters.Request()).result.names

    def values(self, names: Sequence[str]) -> list:
        """Return parameter values as messages."""
        return self.call(GetParameters, 'get_parameters',
                         GetParameters.Request(names=names)).values

    def descriptors(self, names: Sequence[str]) -> list:
        """Return parameter descriptors."""
        return self.call(DescribeParameters, 'describe_parameters',
                         DescribeParameters.Request(names=names)).descriptors


def value_of(status: DiagnosticStatus, key: str) -> str:
    """Return one value of a status; KeyError if it has none of this key."""
    return {value.key: value.value for value in status.values}[key]
