# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The tracker as the VOT toolkit runs it: ``python -m lorat_ros.tools.vot`` speaks TraX.

TraX (Čehovin, Neurocomputing 2017) is a protocol of lines over standard input and output; the
package ``vot-trax`` speaks it. docs/evaluation.md says how to set up a workspace.
"""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Optional

import cv2
import numpy as np

from lorat_ros.boxes import Box, BoxError
from lorat_ros.engines.session import ENGINE_NAMES, EngineError, PRECISION_NAMES
from lorat_ros.models.bundle import BundleError
from lorat_ros.tools.frames import FramesError, read_image
from lorat_ros.tracking.tracker import ImageError, load_tracker, Tracker

MISSING = ('the VOT toolkit speaks TraX, for which vot-trax is needed here too: '
           'pip install vot-trax')


def _from_memory(image: Any) -> np.ndarray:
    pixels = image.array()
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.ndim == 3 and pixels.shape[2] == 3
                        else cv2.COLOR_GRAY2BGR)


def _from_buffer(image: Any) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(image.buffer(), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageError('the image that TraX brought cannot be decoded')
    return pixels


#: How images may come, by TraX's name of it, and how they become BGR uint8 (height, width, 3).
IMAGES: Mapping[str, Callable[[Any], np.ndarray]] = MappingProxyType({
    'path': lambda image: read_image(Path(image.path())),
    'memory': _from_memory,
    'buffer': _from_buffer,
})


def serve(tracker: Tracker, trax: ModuleType) -> None:
    """
    Answer a TraX client until it quits.

    :param trax: the package of that name.
    :raises ValueError: a box or an image that cannot be used; the client is told why.
    """
    about = tracker.bundle
    with trax.Server([trax.Region.RECTANGLE], list(IMAGES), ['color'], about.name,
                     f'lorat_ros, {about.family} {about.variant}', about.family) as server:
        while True:
            request = server.wait()
            if request.type == trax.TraxStatus.QUIT:
                return
            image = request.image['color']
            pixels = IMAGES[image.type()](image)
            if request.type == trax.TraxStatus.INITIALIZE:
                region, _ = request.objects[0]
                tracker.init(pixels, region.bounds())
                server.status([(region, {'confidence': 1.0})])
            else:
                result = tracker.update(pixels)
                server.status([(_region(result.box, trax), {'confidence': result.score})])


def _region(box: Box, trax: ModuleType) -> Any:
    return trax.Rectangle.create(*map(float, box))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the program; returns the exit status (2: something is missing or cannot be used)."""
    parser = argparse.ArgumentParser(prog='python -m lorat_ros.tools.vot', allow_abbrev=False,
                                     description='Track for the VOT toolkit, which starts this.')
    parser.add_argument('--model', help='name or folder of a bundle (default: the shipped one)')
    parser.add_argument('--engine', default='auto', choices=ENGINE_NAMES)
    parser.add_argument('--precision', default='auto', choices=PRECISION_NAMES)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    args = parser.parse_args(arguments)
    cv2.setNumThreads(args.threads)
    try:
        trax = importlib.import_module('trax')
        serve(load_tracker(args.model, args.engine, args.threads, args.precision), trax)
    except ImportError as error:
        print(f'lorat vot: {MISSING} ({error})', file=sys.stderr)
        return 2
    except (BoxError, BundleError, EngineError, FramesError, ImageError) as error:
        print(f'lorat vot: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
