# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of MAVLink's common message set that a tracking camera speaks.

Numbers are those of https://mavlink.io/en/messages/common.html. They stand here, and are not taken
from pymavlink, because enums of an older pymavlink lack some (COASTING came last); a test compares
them with those that the installed one has.
"""
from __future__ import annotations

import enum
import math
from types import ModuleType
from typing import Any

HEARTBEAT = 0
COMMAND_INT = 75
COMMAND_LONG = 76
MESSAGE_INTERVAL = 244
CAMERA_INFORMATION = 259
CAMERA_SETTINGS = 260
CAMERA_TRACKING_IMAGE_STATUS = 275

TYPE_CAMERA = 30            # MAV_TYPE_CAMERA
AUTOPILOT_INVALID = 8       # MAV_AUTOPILOT_INVALID: this is no autopilot
STATE_ACTIVE = 4            # MAV_STATE_ACTIVE
COMPONENT_CAMERA = 100      # MAV_COMP_ID_CAMERA; the cameras have 100 to 105
GROUND_STATION = 255        # the system id that ground stations have as a rule
SEVERITY_WARNING = 4        # MAV_SEVERITY_WARNING
MODE_VIDEO = 1              # CAMERA_MODE_VIDEO
HAS_TRACKING = 512 | 1024   # CAMERA_CAP_FLAGS_HAS_TRACKING_POINT and _RECTANGLE
TARGET_NOT_GIVEN = 0        # no CAMERA_TRACKING_TARGET_DATA
TARGET_IN_STATUS = 4        # CAMERA_TRACKING_TARGET_DATA_IN_STATUS

NAN = math.nan


class Command(enum.IntEnum):
    """Commands (MAV_CMD) that a tracking camera knows."""

    GET_MESSAGE_INTERVAL = 510
    SET_MESSAGE_INTERVAL = 511
    REQUEST_MESSAGE = 512
    REQUEST_CAMERA_INFORMATION = 521
    CAMERA_TRACK_POINT = 2004
    CAMERA_TRACK_RECTANGLE = 2005
    CAMERA_STOP_TRACKING = 2010


class Result(enum.IntEnum):
    """What COMMAND_ACK says (MAV_RESULT)."""

    ACCEPTED = 0
    TEMPORARILY_REJECTED = 1  # asking again later may help
    DENIED = 2                # asking again will not help
    UNSUPPORTED = 3
    FAILED = 4


class Tracking(enum.IntEnum):
    """What CAMERA_TRACKING_IMAGE_STATUS says (CAMERA_TRACKING_STATUS_FLAGS)."""

    IDLE = 0
    ACTIVE = 1
    ERROR = 2
    COASTING = 8


class Mode(enum.IntEnum):
    """How the target is given there (CAMERA_TRACKING_MODE)."""

    NONE = 0
    RECTANGLE = 2


class MavlinkMissingError(ValueError):
    """pymavlink is not installed; the message says how to install it."""


def load_dialect() -> ModuleType:
    """Return pymavlink's common dialect, MAVLink 2.

    It is imported when it is asked for: the package works without.

    :raises MavlinkMissingError: it is not installed.
    """
    try:
        from pymavlink.dialects.v20 import common
    except ImportError as error:
        raise MavlinkMissingError(
            f'pymavlink cannot be imported ({error}), expected version 2.4.40 or newer: install '
            'it with `pip install pymavlink` (or the extra `lorat_ros[mavlink]`)') from error
    return common


def is_command(message: Any) -> bool:
    """Whether a message commands somebody."""
    return message.get_msgId() in (COMMAND_LONG, COMMAND_INT)


def is_meant_for(message: Any, system_id: int, component_id: int) -> bool:
    """Whether a command is for this component, or for all."""
    return (message.target_system in (0, system_id)
            and message.target_component in (0, component_id))
