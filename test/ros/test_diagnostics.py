# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`/diagnostics` of the tracker's node: what is an error, and what only has not begun."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lorat_ros.ros.diagnostics import DiagnosticsPublisher
from lorat_ros.ros.engine_build import Building
from lorat_ros.ros.health import Health
from rclpy.node import Node
from support.graph import value_of

READY = {'model': 'kestrel-e'}
SEEING = SimpleNamespace(facts=lambda: {'topic': '/image'}, awaiting=lambda: '')
BLIND = SimpleNamespace(facts=lambda: {'topic': '/image'}, awaiting=lambda: 'no image on /image')


@pytest.fixture
def said(node: Node, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is published for a state, as (engine, image input)."""
    messages: list[Any] = []

    def say(lifecycle: str, fault: str = '', has_model: bool = True, eyes: Any = None,
            building: Any = None) -> Any:
        monkeypatch.setattr(node, 'create_publisher',
                            lambda *_: SimpleNamespace(publish=messages.append))
        builds: Any = SimpleNamespace(building=building, facts=READY)
        DiagnosticsPublisher(node, Health(), builds).publish(lifecycle, fault, has_model, eyes)
        return messages[-1].status

    return say


def test_all_is_well(said: Any) -> None:
    engine, images = said('active', eyes=SEEING)
    assert (engine.level, engine.message) == (DiagnosticStatus.OK, 'ready')
    assert (engine.name, value_of(engine, 'model')) == ('bare: engine', 'kestrel-e')
    assert images.level == DiagnosticStatus.OK and value_of(images, 'topic') == '/image'


@pytest.mark.parametrize(('state', 'level', 'engine_text', 'images_text'), [
    ({'lifecycle': 'unconfigured', 'has_model': False}, DiagnosticStatus.WARN,
     'no model, the node is unconfigured', 'no subscription, the node is unconfigured'),
    ({'lifecycle': 'unconfigured', 'has_model': False, 'fault': 'cannot configure: x; do y'},
     DiagnosticStatus.ERROR, 'cannot configure: x; do y',
     'no subscription, the node is unconfigured'),
    ({'lifecycle': 'unconfigured', 'has_model': False, 'fault': 'old',
      'building': Building('fp16', 0.5)}, DiagnosticStatus.ERROR,
     'building_engine: fp16, 50 %, 0 s so far', 'no subscription, the node is unconfigured'),
])
def test_nothing_was_asked_for_is_a_warning_and_a_fault_is_an_error(
        said: Any, state: dict[str, Any], level: bytes, engine_text: str, images_text: str
) -> None:
    engine, images = said(**state)
    assert (engine.level, engine.message) == (level, engine_text)
    assert (images.level, images.message) == (level, images_text)


def test_an_active_node_without_images_is_an_error(said: Any) -> None:
    engine, images = said('active', eyes=BLIND)
    assert engine.level == DiagnosticStatus.OK
    assert (images.level, images.message) == (DiagnosticStatus.ERROR, 'no image on /image')
