# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages that a tracking camera sends."""
from __future__ import annotations

from types import ModuleType
from typing import Any

from lorat_ros.mavlink import dialect as mav
from lorat_ros.mavlink.dialect import Mode, NAN, Result
from lorat_ros.mavlink.peers import NEVER, Source
from lorat_ros.mavlink.reporting import Report

NAME, TEXT = 32, 50  # bytes of a name, and of one piece of text
PIECES = 4           # most pieces of a text
UNKNOWN = (NAN,) * 4


class Messages:
    """Makes them. Extension fields are left at their default where an old dialect lacks them.

    :param dialect: pymavlink's module.
    :param vendor: at most 32 bytes, as ``model``; the rest is cut off.
    """

    def __init__(self, dialect: ModuleType, vendor: str, model: str) -> None:
        self._dialect = dialect
        self._names = [list(name.encode()[:NAME].ljust(NAME, b'\0')) for name in (vendor, model)]
        self._texts = 0

    def heartbeat(self) -> Any:
        """Return HEARTBEAT of a camera."""
        return self._dialect.MAVLink_heartbeat_message(
            mav.TYPE_CAMERA, mav.AUTOPILOT_INVALID, 0, 0, mav.STATE_ACTIVE, 3)

    def information(self, milliseconds: int, image_wh: tuple[int, int]) -> Any:
        """Return CAMERA_INFORMATION; lens and sensor are not known here."""
        return self._dialect.MAVLink_camera_information_message(
            milliseconds, *self._names, 0, NAN, NAN, NAN, *image_wh, 0, mav.HAS_TRACKING, 0, b'')

    def settings(self, milliseconds: int) -> Any:
        """Return CAMERA_SETTINGS: video, zoom and focus not known."""
        return self._dialect.MAVLink_camera_settings_message(
            milliseconds, mav.MODE_VIDEO, NAN, NAN)

    def tracking(self, report: Report) -> Any:
        """Return CAMERA_TRACKING_IMAGE_STATUS; what is not known is nan."""
        box = report.rectangle
        if box is None:
            return self._dialect.MAVLink_camera_tracking_image_status_message(
                report.kind, Mode.NONE, mav.TARGET_NOT_GIVEN, NAN, NAN, NAN, *UNKNOWN)
        return self._dialect.MAVLink_camera_tracking_image_status_message(
            report.kind, Mode.RECTANGLE, mav.TARGET_IN_STATUS, (box.left + box.right) / 2,
            (box.top + box.bottom) / 2, NAN, *box)

    def ack(self, command: int, result: Result, to: Source) -> Any:
        """Return COMMAND_ACK to whoever commanded."""
        return self._dialect.MAVLink_command_ack_message(
            command, result, progress=0, result_param2=0, target_system=to.system,
            target_component=to.component)

    def interval(self, seconds: float) -> Any:
        """Return MESSAGE_INTERVAL of the tracking status; NEVER is -1."""
        microseconds = -1 if seconds == NEVER else round(min(seconds * 1e6, 2**31 - 1))
        return self._dialect.MAVLink_message_interval_message(
            mav.CAMERA_TRACKING_IMAGE_STATUS, microseconds)

    def texts(self, text: str) -> list[Any]:
        """Return STATUSTEXT, in pieces if it is long, and none for no text."""
        data = text.encode('ascii', 'replace')[:TEXT * PIECES]
        pieces = [data[start:start + TEXT] for start in range(0, len(data), TEXT)]
        if len(pieces) > 1:
            self._texts = self._texts % 65535 + 1
        number = self._texts if len(pieces) > 1 else 0
        # A last piece that is full would announce another one.
        if len(pieces) > 1 and len(pieces[-1]) == TEXT:
            pieces.append(b'')
        return [self._dialect.MAVLink_statustext_message(
            mav.SEVERITY_WARNING, piece, id=number, chunk_seq=place)
            for place, piece in enumerate(pieces)]
