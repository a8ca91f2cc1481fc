# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters as tables, declared and checked from them; the tracker's own table is here.

``config/tracker.yaml`` is the tracker's table for people; a test keeps the two together.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Optional

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lorat_ros.engines.session import ENGINE_NAMES, PRECISION_NAMES
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.crop_choice import CROPS_NAMES

NO_BOX = (0.0, 0.0, 0.0, 0.0)
FROM_MODEL = -1.0


class ParameterError(ValueError):
    """A parameter that cannot be used; the message names value, expectation and cure."""


class Settable(str, Enum):
    """When a parameter may be changed."""

    AT_START = 'read-only'
    UNCONFIGURED = 'set while unconfigured'
    ALWAYS = 'set at any time'


@dataclass(frozen=True)
class Spec:
    """One parameter. Its type is that of its default; ``low`` and ``high`` are inclusive."""

    name: str
    default: Any
    description: str
    settable: Settable
    low: Optional[float] = None
    high: Optional[float] = None
    choices: tuple[str, ...] = ()
    also: Optional[Callable[[Any], bool]] = None
    also_text: str = ''

    @property
    def start(self) -> Any:
        """The default as ROS takes it: arrays are lists there."""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    @property
    def type(self) -> Parameter.Type:
        """The ROS type, taken from the default."""
        return Parameter.Type.from_parameter_value(self.start)

    @property
    def expected(self) -> str:
        """What a value must be, in words: type, range, choices."""
        kind = self.type.name.lower().replace('_', ' ')
        if self.also_text:
            return f'{kind}: {self.also_text}'
        if self.low is not None:
            return f'{kind} from {self.low} to {self.high}'
        return f'{kind}, one of {", ".join(self.choices)}' if self.choices else kind

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(
            name=self.name, type=self.type.value, description=self.description,
            additional_constraints=f'{self.expected}; {self.settable.value}',
            read_only=self.settable is Settable.AT_START)
        if self.low is not None and self.high is not None and self.type is Parameter.Type.INTEGER:
            descriptor.integer_range.append(
                IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0))
        elif self.low is not None:
            descriptor.floating_point_range.append(
                FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0))
        return descriptor

    def complaint(self, parameter: Parameter) -> str:
        """Why this value cannot be used, with expectation and cure; empty if it can."""
        value = parameter.value
        if parameter.type_ is not self.type:
            kind = parameter.type_.name.lower().replace('_', ' ')
            cure = 'write it with a decimal point' if self._is_whole(parameter) else \
                'write it as one'
            return (f'parameter {self.name}: {value!r} is {kind}, expected {self.expected}; '
                    f'{cure}, for example {self.start!r}')
        if self._fits(value):
            return ''
        return (f'parameter {self.name}: {value!r} is not allowed, expected {self.expected}; '
                f'set it to such a value, by default it is {self.start!r}')

    def _is_whole(self, parameter: Parameter) -> bool:
        whole = (Parameter.Type.INTEGER, Parameter.Type.INTEGER_ARRAY)
        floats = (Parameter.Type.DOUBLE, Parameter.Type.DOUBLE_ARRAY)
        return parameter.type_ in whole and self.type in floats

    def _fits(self, value: Any) -> bool:
        if self.low is not None and not self.low <= value <= self.high:  # nan does not fit
            return False
        if self.choices and value not in self.choices:
            return False
        return self.also is None or self.also(value)


def _is_score(value: float) -> bool:
    return value == FROM_MODEL or 0.0 <= value <= 1.0


def _is_box(value: Iterable[float]) -> bool:
    box = tuple(value)
    return len(box) == 4 and all(map(math.isfinite, box)) and (
        box == NO_BOX or (box[2] > 0 and box[3] > 0))


#: What a parameter must be that holds a target's box.
BOX: Mapping[str, Any] = MappingProxyType({
    'also': _is_box,
    'also_text': 'four finite numbers x, y, w, h with w and h above 0.0, or four zeros'})
_SCORE: dict[str, Any] = {'low': -1.0, 'high': 1.0, 'also': _is_score,
          'also_text': "from 0.0 to 1.0, or -1.0 for the model's own"}

SPECS = (
    Spec('model', '', 'Name or folder of the model bundle; empty = the shipped default.',
         Settable.UNCONFIGURED),
    Spec('engine', 'auto',
         "What runs the model's graphs; auto = TensorRT where it and a GPU are (built when it is "
         'configured for the first time, which takes minutes), else onnx.',
         Settable.UNCONFIGURED, choices=ENGINE_NAMES),
    Spec('precision', 'auto',
         'Arithmetic of the engine; auto = fp32, under tensorrt the best one that passes the '
         'parity gate. What is below must have been proven on this machine with `lorat build`.',
         Settable.UNCONFIGURED, choices=PRECISION_NAMES),
    Spec('engine_cache_dir', '',
         "Folder of what `lorat build` made; empty = lorat_ros/engines in the user's cache.",
         Settable.UNCONFIGURED),
    Spec('crops', 'auto',
         'Who cuts crops out of the images: cpu, the gpu of the engine, or auto: the gpu where '
         '`lorat benchmark --crops both` has measured that it is faster, else the cpu.',
         Settable.UNCONFIGURED, choices=CROPS_NAMES),
    Spec('build_frames', '',
         'Video or folder of images of your camera, groundtruth.txt with the target beside it, '
         "that TensorRT is proven on when the node builds it; empty = the demo's rendered clip.",
         Settable.UNCONFIGURED),
    Spec('threads', 1, 'CPU threads of the engine; more are faster only on idle cores.',
         Settable.UNCONFIGURED, low=1, high=64),
    Spec('image_transport', 'raw',
         'raw subscribes to `image`, compressed to `image/compressed` (JPEG or PNG).',
         Settable.UNCONFIGURED, choices=('raw', 'compressed')),
    Spec('image_reliability', 'auto',
         'QoS reliability asked of the image publisher; auto asks for what it offers.',
         Settable.UNCONFIGURED, choices=('auto', 'best_effort', 'reliable')),
    Spec('image_timeout', 2.0,
         'Seconds without an image after which ~/status warns and /diagnostics says why.',
         Settable.ALWAYS, low=0.1, high=3600.0),
    Spec('init_box', NO_BOX,
         'Target on the first image as [x, y, w, h]: top-left corner and size in pixels; four '
         'zeros = wait for a box on ~/init_box.',
         Settable.UNCONFIGURED, **BOX),
    Spec('class_id', 'target', 'class_id of the hypothesis in every published detection.',
         Settable.ALWAYS),
    Spec('score_lost', FROM_MODEL,
         "A score below it means not seen: no box is published; -1.0 = the model's own threshold.",
         Settable.ALWAYS, **_SCORE),
    Spec('score_recover', FROM_MODEL,
         "A score from it on means found again, not below score_lost; -1.0 = the model's own.",
         Settable.ALWAYS, **_SCORE),
    Spec('coast_seconds', 0.5,
         'How long a target that is not seen any more is coasting (~/prediction says where it '
         'should be) before it is lost; 0.0 = lost at once.',
         Settable.ALWAYS, low=0.0, high=60.0),
    Spec('reacquire', 'auto',
         'Where a target that is not seen is looked for besides where the tracker looks: off; '
         'search = everywhere in the image, nearest first; candidates = where ~/candidates says; '
         'auto = search with a model whose score weighs evidence (the shipped ones), else off.',
         Settable.ALWAYS, choices=('off', 'search', 'candidates', 'auto')),
    Spec('init_point_size', 0.0,
         'Sides in pixels of the box around a click on ~/init_point; 0.0 = two clicks give two '
         'opposite corners.',
         Settable.ALWAYS, low=0.0, high=16384.0),
    Spec('frame_buffer_seconds', 2.0,
         'How far back images are kept, so that a stamped box on ~/init_box starts on the very '
         'image it was drawn on; 0.0 = not at all.',
         Settable.UNCONFIGURED, low=0.0, high=60.0),
    Spec('frame_buffer_megabytes', 64,
         'What the images that are kept may take; if it is less than frame_buffer_seconds needs, '
         'they are kept at larger distances (1920x1080 bgr8 at 30 fps: 187 a second).',
         Settable.UNCONFIGURED, low=1, high=16384),
    Spec('debug_image.max_rate', 15.0,
         'Most debug images per second (each of raw and compressed, and only if subscribed).',
         Settable.ALWAYS, low=0.1, high=1000.0),
    Spec('debug_image.max_width', 0,
         'Debug images wider than this many pixels are scaled down to it; 0 = never.',
         Settable.ALWAYS, low=0, high=16384),
    Spec('debug_image.jpeg_quality', 80, 'Quality of ~/debug_image/compressed.',
         Settable.ALWAYS, low=1, high=100),
    Spec('target_width', 0.0,
         'Metres that the target is wide, so that ~/marker ends where it is; 0.0 = not known.',
         Settable.ALWAYS, low=0.0, high=1000.0),
    Spec('image_rectified', False,
         'The images are rectified: for ~/bearing P of camera_info counts, not K and D.',
         Settable.UNCONFIGURED),
    Spec('autostart', True,
         'Configure and activate at start; false waits for lifecycle transitions.',
         Settable.AT_START),
)


class Parameters:
    """A node's parameters: declared and checked when made, then read by name.

    :param node: a node without any of these parameters yet.
    :param specs: its table.
    :raises ParameterError: an override from the command line or a file cannot be used.
    """

    def __init__(self, node: Node, specs: Iterable[Spec] = SPECS) -> None:
        self._node, self._specs = node, {spec.name: spec for spec in specs}
        for spec in specs:
            _declare(node, spec)

    def __getitem__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def as_meant(self, changes: Iterable[Parameter]) -> list[Parameter]:
        """Take a bare `off`, which YAML reads as false, for the word where a parameter has it."""
        return [_as_meant(self._specs.get(parameter.name), parameter) for parameter in changes]

    def thresholds(self, bundle: Bundle, changes: Iterable[Parameter] = ()
                   ) -> tuple[float, float]:
        """`score_lost` and `score_recover` after these changes, the model's where none is set."""
        new = {parameter.name: parameter.value for parameter in changes}
        lost, recover = (new.get(name, self[name]) for name in ('score_lost', 'score_recover'))
        return (bundle.score_lost if lost == FROM_MODEL else lost,
                bundle.score_recover if recover == FROM_MODEL else recover)

    def complaint(self, changes: Iterable[Parameter], unconfigured: bool) -> str:
        """Why these values may not be set now, in our own words; empty if they may."""
        for parameter in changes:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            if spec.settable is Settable.UNCONFIGURED and not unconfigured:
                return (f'parameter {spec.name}: it is read when the node is configured, expected '
                        'an unconfigured node: use the lifecycle transitions deactivate and '
                        'cleanup, set it, then configure and activate')
            if spec.complaint(parameter):
                return spec.complaint(parameter)
        return ''


def _as_meant(spec: Optional[Spec], parameter: Parameter) -> Parameter:
    if spec is not None and parameter.value is False and 'off' in spec.choices:
        return Parameter(parameter.name, value='off')
    return parameter


def _declare(node: Node, spec: Spec) -> None:
    # Without type and range at first: a bad override is then ours to explain, not rclpy's.
    node.declare_parameter(spec.name, spec.start, ParameterDescriptor(dynamic_typing=True))
    given = node.get_parameter(spec.name)
    if _as_meant(spec, given) is not given:
        node.set_parameters([_as_meant(spec, given)])
    complaint = spec.complaint(node.get_parameter(spec.name))
    if complaint:
        raise ParameterError(complaint)
    node.set_descriptor(spec.name, spec.descriptor())
