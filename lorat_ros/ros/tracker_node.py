# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `lorat_tracker`: wires image input, pipeline, publishers and services together."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing, ExitStack
from functools import partial
from typing import Any, Optional

import cv2
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from lorat_ros.boxes import wh_of
from lorat_ros.ros.bearing import BearingPublishers
from lorat_ros.ros.debug_view import DebugView
from lorat_ros.ros.diagnostics import DiagnosticsPublisher
from lorat_ros.ros.engine_build import EngineBuilds
from lorat_ros.ros.eyes import Eyes
from lorat_ros.ros.health import Health
from lorat_ros.ros.init_request import InitRequest
from lorat_ros.ros.malloc import keep_image_memory
from lorat_ros.ros.messages import nanoseconds_of
from lorat_ros.ros.parameters import NO_BOX, Parameters
from lorat_ros.ros.pipeline import Frame, NO_INIT, Pipeline, Said
from lorat_ros.ros.publishers import DetectionPublishers, StatusPublisher, StatusReport
from lorat_ros.ros.received import AnyHeader
from lorat_ros.ros.running import serve
from lorat_ros.ros.ticker import Ticker
from lorat_ros.ros.wishes import Wishes
from lorat_ros.target.frames import FrameBuffer
from lorat_ros.target.reacquire import suitable_way
from lorat_ros.target.status import TargetState, TargetStatus, thresholds_complaint
from lorat_ros.target.target import Target, TargetStep
from lorat_ros.tracking.tracker import Tracker

WATCH_PERIOD, REPORT_EVERY = 0.5, 2  # seconds from look to look; looks from report to report


class TrackerNode(LifecycleNode):
    """Follows one target. Configuring loads the model, activating opens the eyes.

    :raises ParameterError: a parameter given at start cannot be used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('lorat_tracker', **options)
        self._settings = Parameters(self)
        self._tracker: Optional[Tracker] = None
        self._pipeline: Optional[Pipeline] = None
        self._made = ExitStack()  # closes what configuring has made
        self._eyes: Optional[Eyes] = None
        self._health, self._looks = Health(), 0
        self._lifecycle, self._fault, self._refusal = 'unconfigured', '', NO_INIT
        self._builds = EngineBuilds(self, self._settings, self._report)
        self._status = StatusPublisher(self)
        self._diagnostics = DiagnosticsPublisher(self, self._health, self._builds)
        self._wishes = Wishes(self, self._settings,
                              lambda: None if self._eyes is None else self._pipeline,
                              self._refuse_wish, lambda: self._report(only_news=True))
        # Served also while a transition, which is in the default group, waits for a build.
        served = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, '~/reset', self._on_reset, callback_group=served)
        self.create_service(SetBool, '~/enable', self._on_enable, callback_group=served)
        self._attention = self.create_guard_condition(self._attend, served)
        self._report()
        self._ticker = Ticker(self, self._watch, WATCH_PERIOD)

    def autostart(self) -> None:
        """Configure and activate if the parameter asks for it; a failure leaves the node up.

        What has to be built first is built while the executor serves.
        """
        self._builds.holds_start = self._settings['autostart'] and self._builds.begin()
        if self._settings['autostart'] and not self._builds.holds_start:
            self._start()

    def _start(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # -- lifecycle ----------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and offer the topics. FAILURE (back to unconfigured) if it cannot."""
        self._builds.holds_start = False  # whoever configures activates
        try:
            self._configure()
        except Exception as error:
            self._release()
            return self._fail('configure', error, 'correct it and configure again, or restart')
        self._arrive('inactive')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and track. FAILURE (back to inactive) if the subscription is impossible."""
        result = super().on_activate(state)
        pipeline = self._configured()
        if (box := tuple(self._settings['init_box'])) != NO_BOX:
            pipeline.request_init(InitRequest(box))
        try:
            self._eyes = Eyes(self, self._settings, self._health, pipeline.keep, pipeline.process,
                              on_error=lambda: self._report(only_news=True))
            self._eyes.watch(pipeline.said.enabled)
        except Exception as error:
            super().on_deactivate(state)
            return self._fail('activate', error, 'correct it and start the node again')
        self._arrive('active')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and forget the target. Always SUCCESS."""
        self._close_eyes()
        self._configured().reset(NO_INIT)
        self._configured().forget_frames()
        self._arrive('inactive')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model and the topics back. Always SUCCESS."""
        self._end('unconfigured')
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back. Always SUCCESS."""
        self._end('finalized')
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin again as unconfigured. Always SUCCESS."""
        self._end('unconfigured')
        return super().on_error(state)

    def close(self) -> None:
        """End its threads and a build; nothing is processed or said after this returns."""
        self._ticker.close()
        self._close_eyes()
        self._builds.cancel()

    def _configure(self) -> None:
        self._tracker = tracker = self._made.enter_context(closing(self._builds.load()))
        status = TargetStatus(*self._settings.thresholds(tracker.bundle),
                              self._settings['coast_seconds'], tracker.bundle.return_frames)
        target = Target(tracker, status, suitable_way(self._settings['reacquire'],
                                                      tracker.bundle.manifest))
        view = self._made.enter_context(closing(DebugView(self, self._settings, self._health)))
        bearing = self._made.enter_context(closing(BearingPublishers(self, self._settings)))
        detections = self._made.enter_context(closing(DetectionPublishers(self)))
        frames: FrameBuffer[Frame] = FrameBuffer(
            self._settings['frame_buffer_seconds'],
            self._settings['frame_buffer_megabytes'] * 1_000_000)
        self._pipeline = Pipeline(
            target,
            lambda header, step: detections.publish(header, step, self._settings['class_id']),
            partial(self._after_publishing, bearing, view), self._health,
            partial(nanoseconds_of, self.get_clock()), frames)

    def _configured(self) -> Pipeline:
        assert self._pipeline is not None, 'what rclpy calls only once it is configured'
        return self._pipeline

    def _release(self) -> None:
        self._made.close()
        self._tracker = self._pipeline = None

    def _end(self, lifecycle: str) -> None:
        self._close_eyes()
        self._release()
        self._arrive(lifecycle)

    def _close_eyes(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
        self._eyes = None

    def _arrive(self, lifecycle: str) -> None:
        self._lifecycle, self._fault, self._refusal = lifecycle, '', NO_INIT
        self._report()

    def _fail(self, what: str, error: Exception, cure: str) -> TransitionCallbackReturn:
        self._fault = f'cannot {what}: {error}; {cure}'
        if self.context.ok():  # otherwise it was interrupted, which is no fault
            self.get_logger().error(self._fault)
            self._report()
        return TransitionCallbackReturn.FAILURE

    def _after_publishing(self, bearing: BearingPublishers, view: DebugView, image: np.ndarray,
                          header: AnyHeader, step: TargetStep) -> None:
        bearing.publish(header, step.box, wh_of(image))
        self._status.heed((step.state, step.target_id, step.returned,
                           self._configured().said.init), self._make_report)
        view.show(image, header, step)

    # -- what people ask for ------------------------------------------------------------------

    def _refuse_wish(self) -> None:
        self._refusal = f'refused: the node is {self._lifecycle}, expected active: activate it'

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._pipeline is not None
        response.message = 'forgotten' if response.success else f'the node is {self._lifecycle}'
        if self._builds.cancel():
            response.success, response.message = True, 'the build is cancelled'
        elif self._pipeline is not None:
            self._pipeline.reset()
            self._report(only_news=True)
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = self._pipeline is not None
        response.message = f'the node is {self._lifecycle}'
        if self._pipeline is not None:
            self._pipeline.enable(request.data)
            if self._eyes is not None:
                self._eyes.watch(request.data)
            response.message = 'tracking goes on' if request.data else 'paused'
            self._report(only_news=True)
        return response

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]
                                  ) -> SetParametersResult:
        """Set parameters, or refuse with value, expectation and cure (rclpy's has no cure)."""
        if not hasattr(self, '_settings'):  # rclpy's own, while the node is being made
            return super().set_parameters_atomically(parameter_list)
        parameter_list = self._settings.as_meant(parameter_list)
        reason = self._settings.complaint(parameter_list, self._lifecycle == 'unconfigured')
        tracker, pipeline, thresholds = self._tracker, self._pipeline, None
        if not reason and tracker is not None and pipeline is not None:
            thresholds = self._settings.thresholds(tracker.bundle, parameter_list)
            reason = thresholds_complaint(*thresholds)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
        result = super().set_parameters_atomically(parameter_list)
        if result.successful and tracker is not None and pipeline is not None and thresholds:
            pipeline.set_thresholds(*thresholds)
            way = suitable_way(self._settings['reacquire'], tracker.bundle.manifest)
            pipeline.set_habits(self._settings['coast_seconds'], way)
        return result

    # -- what the node says of itself ---------------------------------------------------------

    def _watch(self) -> None:
        """Say what nobody asked for, in a thread that changes nothing itself."""
        eyes = self._eyes
        if self._builds.holds_start or (eyes is not None and eyes.wished_reliability()):
            self._attention.trigger()
        if eyes is not None:
            self._report(only_news=True)  # silence is news too
        self._looks += 1
        if self._looks % REPORT_EVERY == 0:
            self._report_health()

    def _attend(self) -> None:
        """Do what the watch has seen to be necessary, in the executor, as all that changes."""
        if self._builds.holds_start and not self._builds.poll():
            self._start()
        if self._eyes is not None:
            self._eyes.follow_publisher()

    def _report_health(self) -> None:
        self._diagnostics.publish(self._lifecycle, self._fault, self._tracker is not None,
                                  self._eyes)
        self._report()

    def _report(self, only_news: bool = False) -> None:
        self._status.publish(self._make_report, only_news)

    def _make_report(self) -> StatusReport:
        # Each is read once: worker and ticker ask too, while the executor may put another in its
        # place.
        pipeline, eyes, lifecycle = self._pipeline, self._eyes, self._lifecycle
        said = Said() if pipeline is None else pipeline.said
        seeing = eyes is not None and said.enabled and lifecycle == 'active'
        silence, silent_for = eyes.silence() if eyes is not None and seeing else ('', 0.0)
        return StatusReport(
            state=said.step.state if seeing else TargetState.IDLE, target_id=said.step.target_id,
            init=self._refusal if eyes is None else said.init, enabled=said.enabled,
            returned=said.step.returned, returned_by=said.step.returned_by,
            lifecycle=lifecycle, fault=self._fault, score=said.step.score, age=said.age,
            silence=silence, silent_for=silent_for, frame_age=self._health.frame_age,
            building=self._builds.building)


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the node until Ctrl-C or SIGTERM. Returns 1 if it could not be made, else 0."""
    keep_image_memory()
    cv2.setNumThreads(1)  # another one would wait for more to do longer than a crop takes
    return serve(TrackerNode, 'tracker_node', args)


if __name__ == '__main__':
    sys.exit(main())
