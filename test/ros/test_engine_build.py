# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that has to build its engine first: it says so, answers meanwhile, and ends cleanly.

The node and all that it starts are real processes; TensorRT and the driver are stand-ins.
"""
from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from support.fake_gpu import environment
from support.fake_tensorrt_builder import Wishes
from support.graph import Client, value_of


@pytest.fixture
def start(node_process, tmp_path: Path, short_clip: Path) -> Iterator[Callable]:
    """Start a node on a machine with a GPU; returns its process and a client."""
    clients = []

    def begin(*parameters: str, **wishes):
        given = [part for parameter in (f'build_frames:={short_clip}',
                                        f'engine_cache_dir:={tmp_path / "cache"}', *parameters)
                 for part in ('-p', parameter)]
        process = node_process('tracker_node', '--ros-args', *given,
                               environment=environment(tmp_path, Wishes(**wishes)))
        clients.append(Client('/lorat_tracker'))
        return process, clients[-1]
    yield begin
    for client in clients:
        client.close()


def is_gone(process_id: int) -> bool:
    return not Path(f'/proc/{process_id}').exists()


def build_of(process) -> int:
    """The build that a node has started."""
    return int(Path(f'/proc/{process.process.pid}/task/{process.process.pid}/children'
                    ).read_text().split()[0])


def test_it_builds_first_and_answers_meanwhile(start) -> None:
    process, client = start(seconds=2.0)
    status = client.wait_for_status(state='building_engine', build='building kestrel-e')
    assert status.level == DiagnosticStatus.WARN and status.message.startswith(
        'building_engine: building kestrel-e ')
    assert value_of(status, 'lifecycle') == 'unconfigured'
    assert value_of(status, 'build estimate') == 'unknown'      # it is the first one
    assert client.wait_for_health('engine', 'building_engine: ').level == DiagnosticStatus.WARN
    client.wait_until(lambda: value_of(client.statuses[-1], 'build progress') not in (
        'unknown', '0.000'), 'progress is told')
    assert client.set_parameter('class_id', 'car') == ''
    assert client.lifecycle() == 'unconfigured'
    client.wait_for_status(lifecycle='active', state='idle', fault='')
    health = client.wait_for_health('engine', 'ready')
    said = {pair.key: pair.value for pair in health.values}
    assert (said['engine'], said['device'], said['precision']) == ('tensorrt', 'cuda', 'fp16')
    assert said['built'].startswith('strongly typed graph')
    assert said['engine build'].startswith('took ')
    client.wait_for_matches()
    assert client.track().id
    assert 'chosen: fp16' in process.output


def test_reset_cancels_and_auto_goes_on_without(start) -> None:
    process, client = start(seconds=60.0)
    client.wait_for_status(state='building_engine', build='building kestrel-e')
    build = build_of(process)
    assert client.reset()
    client.wait_for_status(lifecycle='active', fault='')
    assert is_gone(build)
    said = client.wait_for_health('engine', 'ready')
    assert value_of(said, 'engine') == 'onnx'
    assert value_of(said, 'engine build') == 'failed: the build was cancelled'
    assert 'no engine was built: the build was cancelled' in process.output


def test_tensorrt_that_cannot_be_built_leaves_the_node_up_with_the_fault(start) -> None:
    process, client = start('engine:=tensorrt', refuses='LayerNormalization')
    status = client.wait_for_status(lifecycle='unconfigured', fault='cannot configure: no plan')
    fault = value_of(status, 'fault')
    assert 'operator LayerNormalization' in fault and 'choose engine auto' in fault
    assert client.set_parameter('engine', 'onnx') == ''
    assert client.transition('configure')
    client.wait_for_status(lifecycle='inactive', fault='')


def test_what_failed_is_not_tried_again_until_it_may_work(start, tmp_path: Path) -> None:
    process, client = start(seconds=60.0)
    configure = client.node.create_client(ChangeState, '/lorat_tracker/change_state')

    def end_build(number: int) -> None:
        client.wait_for_status(state='building_engine', build='building kestrel-e')
        os.kill(build_of(process), number)

    def configured() -> None:
        client.statuses.clear()
        assert client.transition('deactivate') or client.lifecycle() == 'inactive'
        assert client.transition('cleanup')
        configure.call_async(
            ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    end_build(signal.SIGTERM)  # as whoever ends everything does: it may work yet
    client.wait_for_status(lifecycle='active', fault='')
    assert not list((tmp_path / 'cache').glob('*/failed.json'))
    configured()
    end_build(signal.SIGKILL)
    client.wait_for_status(lifecycle='inactive', fault='')
    begun = process.output.count('building for TensorRT')
    configured()
    client.wait_for_status(lifecycle='inactive', fault='')
    assert process.output.count('building for TensorRT') == begun == 2
    said = client.wait_for_health('engine', 'not tried again')
    assert value_of(said, 'engine') == 'onnx'
    for part in ('the build was ended by signal 9', 'it failed with tensorrt 10.3', ', lorat_ros ',
                 time.strftime('on %Y-', time.gmtime()), '`lorat build` tries anew'):
        assert part in value_of(said, 'engine build') and part in process.output
    # After an update it is another chance.
    assert process.stop() == 0
    process, client = start(version='10.16', seconds=60.0)
    client.wait_for_status(state='building_engine', build='building kestrel-e')


def test_configure_waits_and_others_are_answered_and_an_interrupt_ends_it(start) -> None:
    process, client = start('autostart:=false', seconds=60.0)
    client.wait_for_status(lifecycle='unconfigured')
    asked = client.node.create_client(ChangeState, '/lorat_tracker/change_state')
    assert asked.wait_for_service(30)
    wish = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    answer = asked.call_async(wish)
    client.wait_for_status(state='building_engine', build='building kestrel-e')
    # Meanwhile it says how it is and takes orders; the transition is answered when it is over.
    client.health.clear()
    client.wait_for_health('engine', 'building_engine: ')
    assert not client.enable(True) and not answer.done()
    assert client.reset()
    client.wait_until(answer.done, 'configured without it')
    assert answer.result().success
    client.wait_for_status(lifecycle='inactive', fault='')
    assert client.transition('cleanup')
    asked.call_async(wish)
    client.wait_for_status(state='building_engine', build='building kestrel-e')
    build = build_of(process)
    process.signal(signal.SIGINT)
    assert process.wait(30) == 0
    end = time.monotonic() + 10
    while not is_gone(build):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert 'Traceback' not in process.output
