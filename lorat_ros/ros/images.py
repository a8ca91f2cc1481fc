# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages as NumPy arrays and back; how their pixels lie is lorat_ros.images' business."""
from __future__ import annotations

import cv2
import numpy as np
from lorat_ros.images import (encoded_to_bgr, ENCODINGS, ImageError, raw_to_bgr, unknown_encoding,
                              view_of)
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lorat_ros.ros.received import Received, ReceivedCompressed, ReceivedImage

__all__ = ['compressed_message', 'ENCODINGS', 'image_message', 'ImageError', 'to_bgr', 'view_of']

COMPRESSED_FORMAT = 'bgr8; jpeg compressed bgr8'  # as image_transport writes it


def to_bgr(message: Image | CompressedImage | Received) -> np.ndarray:
    """Return the picture in a message as uint8 (height, width, 3), BGR.

    bgr8, rgb8, bgra8, rgba8, mono8 and mono16 are views on the message's buffer (any strides, to
    be read only); YUV and compressed images are converted, which needs a new array.

    :raises ImageError: the message is malformed, cut off, or of an encoding nobody here knows.
    """
    if isinstance(message, (CompressedImage, ReceivedCompressed)):
        return encoded_to_bgr(message)
    if message.encoding in ENCODINGS:
        return raw_to_bgr(message)
    return _through_cv_bridge(message)


def image_message(image: np.ndarray, header: Header) -> Image:
    """Return a bgr8 message of a uint8 (height, width, 3) BGR image under the given header."""
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='bgr8', step=3 * width)
    # By far the fastest way in: assigning bytes or an array is checked element by element.
    message.data.frombytes(np.ascontiguousarray(image).data.cast('B'))
    return message


def compressed_message(image: np.ndarray, header: Header, quality: int) -> CompressedImage:
    """Return a JPEG message of a BGR image under the given header; quality is 1 to 100."""
    _, jpeg = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    message = CompressedImage(header=header, format=COMPRESSED_FORMAT)
    message.data.frombytes(np.ascontiguousarray(jpeg).data.cast('B'))
    return message


def _through_cv_bridge(message: Image | ReceivedImage) -> np.ndarray:
    try:
        from cv_bridge import CvBridge
    except ImportError:
        raise ImageError('unknown encoding', unknown_encoding(message.encoding)) from None
    if message.width == 0 or message.height == 0:
        raise ImageError('no size', f'image is {message.width}x{message.height} '
                         f'{message.encoding}, expected at least 1x1: check the camera driver')
    if isinstance(message, ReceivedImage):
        message = message.message()
    try:
        return CvBridge().imgmsg_to_cv2(message, desired_encoding='bgr8')
    except Exception as error:  # what it raises depends on how it was built
        raise ImageError('unknown encoding', f'{unknown_encoding(message.encoding)} (cv_bridge is '
                         f'installed and says: {error})') from error
