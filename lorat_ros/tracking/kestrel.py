# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kestrel before and after its network: crops, template mask, window, penalties, smoothing."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from lorat_ros.boxes import Box, centre_xywh, clip_xywh
from lorat_ros.engines.sampling import Colours
from lorat_ros.engines.session import arrays, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.cells import Cells, peaks_of, Ranking, shape_change
from lorat_ros.tracking.crops import (crop_recipe, CropPlan, mean_colour, plan_crop, sample_crop,
                                      window_side)
from lorat_ros.tracking.evidence import Evidence, Pieces, SURE, Weights
from lorat_ros.tracking.family import Answer, CropSizes, reading
from lorat_ros.tracking.rivals import distance_in_boxes, NEAR, Peak, Rivals
from lorat_ros.tracking.sampler import CropRule, HOST, looked_up, Sampler

STRIDE = 16
IMAGE_MEAN = np.array((103.53, 116.28, 123.675), np.float32)      # BGR, of ImageNet
IMAGE_SCALE = np.float32(1 / 58.0)
#: What the levels of the three colours become, (256,) each.
LEVELS = tuple(np.arange(256, dtype=np.float32) * IMAGE_SCALE - mean * IMAGE_SCALE
               for mean in IMAGE_MEAN)
USUAL_RATE = 0.08   # of the usual size, a frame
PATIENCE = 5        # unsure frames in a row that are but a bad moment
FORGET_PLACE = 10   # frames after which the last place counts half
FAINT = 0.05        # score from which something looks a little like the target
RIVAL_PATIENCE = 25  # frames without the target; then one of its rivals may have been it
SMALLEST = 4.0      # pixels; below, nothing can be told from the background


def cover_of_cells(box: Box, cells: int, size: int) -> np.ndarray:
    """
    Share of each cell of a crop that a box covers.

    :param box: xywh in pixels of the crop.
    :param cells: cells along a side.
    :param size: side of the crop in pixels.
    :returns: (cells, cells) float32 in [0, 1], row-major (row = y).
    """
    edges = np.arange(cells + 1) * (size / cells)
    (x, y, w, h), starts, ends = box, edges[:-1], edges[1:]
    columns, rows = np.maximum(
        np.minimum(ends, [[x + w], [y + h]]) - np.maximum(starts, [[x], [y]]), 0)
    return (rows[:, None] * columns / (size / cells) ** 2).astype(np.float32)


def normalise(crop: np.ndarray) -> np.ndarray:
    """Crop (S, S, 3) uint8 BGR to the network's (1, 3, S, S) float32 RGB."""
    return looked_up(crop, LEVELS)


def _colours() -> Colours:
    (blue, green, red), scale = IMAGE_MEAN.tolist(), float(IMAGE_SCALE)
    return Colours((blue, green, red), (scale, scale, scale))


CROPS: CropRule[CropPlan] = CropRule(sample_crop, normalise, crop_recipe, _colours())


class KestrelFamily:
    """One target of a Kestrel model."""

    roles = ('template', 'search')
    role = 'search'

    def __init__(self, bundle: Bundle, sampler: Sampler = HOST) -> None:
        self._sampler = sampler
        with reading(bundle) as manifest:
            self._sizes, post = CropSizes.of(manifest), manifest['postprocessing']
            self._window_weight = float(post['window'])
            self._shape_penalty = float(post['shape_penalty'])
            self._size_rate = float(post['size_rate'])
            self._hold_score = float(post['hold_score'])
            self._widening = float(post['widening'])
            self._widest = float(post['widest'])
            self._rival_patience = float(post.get('rival_patience', RIVAL_PATIENCE))
            self._weights = Weights.of(manifest)
        cells = self._sizes.search // STRIDE
        # Hann with its zeros outside the grid: the border cells stay eligible.
        hann = np.hanning(cells + 2)[1:-1]
        self._window: list[float] = np.outer(hann, hann).ravel().tolist()
        self._memory: dict[str, Value] = {}
        self._fill = (0.0, 0.0, 0.0)
        self._box: Box = (0.0, 0.0, 0.0, 0.0)
        self._image_wh = (0, 0)
        self._plan: CropPlan      # of the last ``look``
        self._rivals = Rivals()
        #: Who decides what is believed of an answer; nobody where the bundle weighs no evidence.
        self.evidence: Evidence | None = None
        #: What spoke for the last answer.
        self.pieces: Pieces | None = None
        self._unsure = 0                      # frames in a row with a hopeless score
        self._usual_wh = (0.0, 0.0)           # size over the last frames that were sure

    def start(self, image: np.ndarray, box: Box) -> dict[str, Value]:
        """Take a target: template crop, the share of each cell it covers, fill colour."""
        self._box, self._fill = box, mean_colour(image)
        self._unsure, self._usual_wh, self._rivals = 0, box[2:], Rivals()
        size = self._sizes.template
        plan = self._plan_around(image, self._sizes.template_factor, size)
        mask = cover_of_cells(plan.to_crop(box), size // STRIDE, size)
        self.evidence = Evidence(mask) if self._weights else None
        return {'image': self._sampler.cut(image, plan, CROPS), 'mask': mask[None]}

    def remember(self, outputs: Mapping[str, Value]) -> None:
        """Keep the template's tokens and keys."""
        self._memory = dict(outputs)

    def look(self, image: np.ndarray) -> dict[str, Value]:
        """Crop the search region around where the target was; wider while it is not seen."""
        self._image_wh = image.shape[1], image.shape[0]
        wider = min(1 + self._widening * self._absent_for, self._widest)
        self._plan = self._plan_around(image, self._sizes.search_factor * wider,
                                       self._sizes.search)
        return {'image': self._sampler.cut(image, self._plan, CROPS), **self._memory}

    def answer(self, outputs: Mapping[str, Value]) -> Answer:
        """Choose the best cell, smooth the size, and move on unless the score is hopeless."""
        read = arrays(outputs)
        cells = Cells(read['score'][0], read['boxes'][0], self._sizes.search)
        if not cells.are_finite:
            return Answer(self._reported(self._box), 0.0, self._plan.window)
        _, _, last_w, last_h = self._plan.to_crop(self._box)
        # The longer it has not been seen, the less its last place says.
        weight = self._window_weight / (1 + self._absent_for / FORGET_PLACE)
        ranking = Ranking(cells, (last_w, last_h), self._shape_penalty, self._window, weight)
        peaks = [self._peak(cell, cells) for cell in peaks_of(cells.scores, cells.side, FAINT)]
        chosen, best = self._choose(ranking, self._peak(ranking.best, cells), peaks)
        if chosen is None:
            self._rivals.follow([peak.box for peak in peaks], None, False)
            self._move_on(self._box, best)
            return self._answered(self._box, best, read)
        _, _, new_w, new_h = cells.box(chosen.cell)
        # The surer the answer and the milder the change, the faster the size follows.
        rate = self._size_rate * best / shape_change((new_w, new_h), (last_w, last_h)) ** 0.5
        rate = min(max(rate, 0.0), 1.0)
        box_w = last_w + (new_w - last_w) * rate
        box_h = last_h + (new_h - last_h) * rate
        x1, y1, x2, y2 = cells.corners(chosen.cell)
        x, y = (x1 + x2 - box_w) / 2, (y1 + y2 - box_h) / 2
        found = self._sane(self._plan.to_image((x, y, box_w, box_h)))
        # Sure of it: then what it sees beside the target is not the target.
        self._rivals.follow([peak.box for peak in peaks], found, best >= SURE)
        self._move_on(found, best)
        return self._answered(found, best, read)

    def around(self, box: Box) -> KestrelFamily:
        """Make another one that looks around a box; that the target is there is not known."""
        other = copy.copy(self)
        other._box, other._unsure = box, PATIENCE
        other._rivals = copy.deepcopy(self._rivals)
        other.evidence = self.evidence and self.evidence.branch()
        return other

    def _answered(self, box: Box, score: float, outputs: Mapping[str, np.ndarray]) -> Answer:
        """Say where it is; how sure that is, all evidence says. How to go on, the peak does."""
        reported = self._reported(box)
        if self.evidence is None or self._weights is None:
            return Answer(reported, score, self._plan.window)
        size = self._sizes.search
        x, y, w, h = self._plan.to_crop(reported)
        self.pieces, belief = self.evidence.weigh(
            outputs, (x / size, y / size, w / size, h / size), score, self._weights)
        return Answer(reported, belief, self._plan.window)

    def _peak(self, cell: int, cells: Cells) -> Peak:
        return Peak(cell, self._plan.to_image(cells.box(cell)), cells.scores[cell])

    def _choose(self, ranking: Ranking, best: Peak, peaks: Sequence[Peak]
                ) -> tuple[Peak | None, float]:
        """
        What is taken for the target, and its score; nothing if it is known to be something else.

        :param best: the answer that ranks highest.
        :param peaks: all that looks somewhat like the target.
        """
        sight = self._unsure == 0
        claimed = [peak for peak in peaks if self._rivals.claims(peak.box, self._box, sight)]
        if self._absent_for >= self._rival_patience or \
                not any(distance_in_boxes(best.box, peak.box) < NEAR for peak in claimed):
            return best, best.score
        # A rival outshines it; the target may still stand out close to where it was.
        near = [peak for peak in peaks
                if peak not in claimed and distance_in_boxes(peak.box, self._box) < 1]
        own = max(near, key=lambda peak: ranking.of(peak.cell), default=None)
        if own is None or own.score < self._hold_score:
            return None, own.score if own else 0.0
        return own, own.score

    @property
    def _absent_for(self) -> int:
        """Frames since it is not just a bad moment any more."""
        return max(self._unsure - PATIENCE, 0)

    def _move_on(self, found: Box, score: float) -> None:
        """Go with the target; or stay, at its usual size, while it is not seen."""
        if score >= self._hold_score:
            self._box, self._unsure = found, 0
            w, h = self._usual_wh
            rate = USUAL_RATE * score
            self._usual_wh = w + rate * (found[2] - w), h + rate * (found[3] - h)
            return
        self._unsure += 1
        if self._unsure == PATIENCE:
            # What vanishes behind an edge seems to shrink first: look for it as it was before.
            x, y = centre_xywh(self._box)
            w, h = self._usual_wh
            self._box = x - w / 2, y - h / 2, w, h

    def _plan_around(self, image: np.ndarray, factor: float, size: int) -> CropPlan:
        _, _, w, h = self._box
        side = max(window_side(w, h, factor), 8.0)
        return plan_crop(centre_xywh(self._box), side, size, (image.shape[1], image.shape[0]),
                         self._fill)

    def _sane(self, box: Box) -> Box:
        """Keep the centre in the image and the size between a few pixels and the image's."""
        width, height = self._image_wh
        x, y = centre_xywh(box)
        w = min(max(box[2], SMALLEST), float(width))
        h = min(max(box[3], SMALLEST), float(height))
        x, y = min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))
        return x - w / 2, y - h / 2, w, h

    def _reported(self, box: Box) -> Box:
        clipped = clip_xywh(box, self._image_wh)
        return clipped if min(clipped[2:]) > 0 else box
