# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image subscription: which topic, which QoS, and why nothing comes when nothing comes."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Optional, Union

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import (QoSDurabilityPolicy, QoSHistoryPolicy, QoSPolicyKind, QoSProfile,
                       QoSReliabilityPolicy)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from lorat_ros.ros.arrivals import Arrivals
from lorat_ros.ros.listener import Listener
from lorat_ros.ros.parameters import ParameterError
from lorat_ros.ros.received import Received
from lorat_ros.ros.taking import taker_of

ImageMessage = Union[Image, CompressedImage, Received]

MESSAGE_TYPES = MappingProxyType({'raw': Image, 'compressed': CompressedImage})
TYPE_NAMES = MappingProxyType({'raw': 'sensor_msgs/msg/Image',
                               'compressed': 'sensor_msgs/msg/CompressedImage'})
RELIABILITIES = MappingProxyType({'best_effort': QoSReliabilityPolicy.BEST_EFFORT,
                                  'reliable': QoSReliabilityPolicy.RELIABLE})
NOT_OVERRIDDEN = 'system_default'


class ImageInput:
    """Subscribes to the newest image of a camera.

    :param node: whose `image` (or its compressed sibling) it is.
    :param transport: raw or compressed.
    :param reliability: auto, best_effort or reliable; a `qos_overrides` parameter beats it.
    :param on_image: called in a thread of the input's own with each message, with how many were
        lost just before it, on their way from the same publisher, and with the seconds that it
        took to get the message out of the middleware.
    :param on_error: called there with what ``on_image`` raises, and for what is no message.
    :raises ParameterError: a `qos_overrides` parameter cannot be used.
    """

    def __init__(self, node: Node, transport: str, reliability: str,
                 on_image: Callable[[ImageMessage, Optional[int], float], None],
                 on_error: Callable[[Exception], None]) -> None:
        self._node, self._transport = node, transport
        self._on_image, self._on_error = on_image, on_error
        self._arrivals, self._taker = Arrivals(), taker_of(MESSAGE_TYPES[transport])
        # The sibling follows a remap of `image`, as image_transport's own subscribers do.
        self.topic = node.resolve_topic_name('image')
        if transport == 'compressed':
            self.topic = node.resolve_topic_name(f'{self.topic}/compressed')
        self._wanted = self._overridden_reliability() or reliability
        self.reliability = 'best_effort' if self._wanted == 'auto' else self._wanted
        self._listener: Optional[Listener] = self._listen()

    def close(self) -> None:
        """Unsubscribe; no image comes after this returns."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def open(self) -> None:
        """Subscribe again, as it was, after ``close``."""
        if self._listener is None:
            self._listener = self._listen()

    def publishers(self) -> Sequence[TopicEndpointInfo]:
        """Return all publishers on the topic that the graph knows, of whatever type."""
        return self._node.get_publishers_info_by_topic(self.topic)

    def wished_reliability(self) -> str:
        """
        With `auto`, what the publishers offer now, if that is not what is asked for; else empty.

        Best effort matches every publisher, so that is what it starts with; where all offer
        reliable it is asked for, because lost fragments of a large image are then sent again.
        """
        if self._wanted != 'auto' or self._listener is None:
            return ''
        offered = self._offered()
        best = 'reliable' if offered and all(
            policy == QoSReliabilityPolicy.RELIABLE for policy in offered) else 'best_effort'
        return best if offered and best != self.reliability else ''

    def follow_publisher(self) -> None:
        """Ask for what the publishers offer now, where that is left to us."""
        best = self.wished_reliability()
        if not best:
            return
        self._node.get_logger().info(
            f'{self.topic}: {len(self._offered())} publisher(s), subscribing {best} (options: '
            'best_effort, reliable); set parameter image_reliability to silence this')
        self.close()
        self.reliability = best
        self.open()

    def _offered(self) -> list[QoSReliabilityPolicy]:
        return [info.qos_profile.reliability for info in self.publishers()
                if info.topic_type == TYPE_NAMES[self._transport]]

    def awaiting(self) -> str:
        """Say what is missing while no image comes, and the cure."""
        topics = self._node.get_topic_names_and_types()
        own = f'{self._node.get_fully_qualified_name()}/'
        others = sorted(name for name, types in topics if TYPE_NAMES[self._transport] in types
                        and name != self.topic and not name.startswith(own))
        return explain_silence(self.topic, self._transport, self.reliability, self.publishers(),
                               others)

    def facts(self) -> dict[str, str]:
        """Return what /diagnostics says of the subscription."""
        return {'topic': self.topic, 'transport': self._transport,
                'publishers': ', '.join(map(_name_of, self.publishers())) or 'none',
                'qos': f'{self.reliability}, volatile, keep last' if self._listener
                else 'not subscribed: paused'}

    def _on_message(self, message: ImageMessage, info: Mapping[str, Any], seconds: float) -> None:
        self._on_image(message, self._arrivals.missed(info), seconds)

    def _listen(self) -> Listener:
        self._arrivals.forget()
        qos = QoSProfile(depth=1, history=QoSHistoryPolicy.KEEP_LAST,
                         reliability=RELIABILITIES[self.reliability],
                         durability=QoSDurabilityPolicy.VOLATILE)
        kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY)
        return Listener(self._node, MESSAGE_TYPES[self._transport],
                        'image' if self._transport == 'raw' else self.topic, qos,
                        QoSOverridingOptions(kinds), self._taker, self._on_message,
                        self._on_error)

    def _overridden_reliability(self) -> Optional[str]:
        # Declared here and not by rclpy, which would pin the first choice of `auto` for good.
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, NOT_OVERRIDDEN, ParameterDescriptor(
                description='Beats image_reliability unless it is system_default.',
                read_only=True))
        value = self._node.get_parameter(name).value
        if value != NOT_OVERRIDDEN and value not in RELIABILITIES:
            raise ParameterError(f'parameter {name}: {value!r} is not allowed, expected one of '
                                 f'{NOT_OVERRIDDEN}, {", ".join(RELIABILITIES)}: set one of these')
        return None if value == NOT_OVERRIDDEN else value


def explain_silence(topic: str, transport: str, reliability: str,
                    publishers: Sequence[TopicEndpointInfo], others: Sequence[str]) -> str:
    """Say why no image may have come on ``topic``, from what the graph shows, with the cure.

    :param reliability: what the subscription asks for.
    :param publishers: all publishers on the topic, of whatever type.
    :param others: topics of the right type elsewhere.
    """
    wanted = TYPE_NAMES[transport]
    awaited = f'no image on {topic} ({wanted})'
    if not publishers:
        found = f'such images are on: {", ".join(others)}' if others else \
            'no such images are on any topic that is seen from here'
        return (f'{awaited}: it has no publisher, {found}. Start the camera, remap '
                '`image` to its topic, or check that both have the same ROS_DOMAIN_ID and '
                'FASTDDS_BUILTIN_TRANSPORTS (LARGE_DATA sees nothing else)')
    matching = [info for info in publishers if info.topic_type == wanted]
    if not matching:
        return (f'{awaited}: {_name_of(publishers[0])} publishes {publishers[0].topic_type} '
                'there. Set image_transport to '
                f'{"compressed" if transport == "raw" else "raw"}, and remap `image` to the '
                'base topic, without /compressed')
    names = ', '.join(map(_name_of, matching))
    if reliability == 'reliable' and all(
            info.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT
            for info in matching):
        return (f'{awaited}: {names} offers best_effort, the subscription asks for reliable. '
                'Set image_reliability to auto or best_effort')
    return (f'{awaited}: {names} is there with a matching QoS ({reliability}), but nothing '
            'arrives. Either it publishes nothing (see `ros2 topic hz` on its machine), or its '
            'large messages are lost: start it under the Fast DDS profile that '
            'tracker.launch.py sets (config/fastdds.xml), or use image_transport compressed. '
            'FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA must be set on both sides or on neither')


def _name_of(info: TopicEndpointInfo) -> str:
    if 'UNKNOWN' in info.node_name:  # its endpoint was discovered, its node not yet
        return 'a node whose name is not known yet'
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'
