# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Template and search crops as LoRAT (Lin et al., ECCV 2024) is trained with.

Two frames of a clip, at most so many labelled frames apart, or a still twice. The template is cut
as the tracker cuts it; of the search crop, scale (each axis by itself) and place are left to
chance, drawn again while hardly anything of the target is in it. Both crops are the tracker's own
(``lorat_ros.tracking.lorat``): aligned to whole pixels, bilinear, filled with the mean colour of
their frame. What is to be found is the part of the box that is in the crop.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from lorat_ros.boxes import wh_of
from lorat_ros.tracking.crops import CropPlan, sample_bilinear
from lorat_ros.tracking.family import CropSizes
from lorat_ros.tracking.lorat import (align_window, clip, grow, nominal_window, PATCH, plan_window,
                                      rasterise, template_mask, to_crop)
from lorat_ros.training import published_looks
from lorat_ros.training.items import Item
from lorat_ros.training.pictures import draw_pair
from lorat_ros.training.pool import Pool

REDRAWS, RESAMPLES = 10, 10      # crops of a pair, and pairs, before one is cut without luck
SMALLEST_STATE = 10.0            # pixels of the image: the tracker looks around no smaller box


@dataclass(frozen=True)
class PublishedConfig:
    """What the pairs are made of; the defaults are LoRAT's but for the shares of kinds."""

    frame_gap: int = 100          # labelled frames between template and search, either way
    scale: float = 0.25           # spread of the logarithm of the search crop's scale, each axis
    shift: float = 3.0            # its place moves by up to so many mean sides of the box
    smallest: float = 10.0        # pixels of the search crop that the target shows at least
    flip: float = 0.5             # share of crops that are mirrored, each by itself
    colour: float = 0.4           # brightness, contrast, saturation change by up to this share
    look: float = 1.0             # share of pairs without colour, solarised or blurred
    absent: float = 0.0           # share of pairs whose search crop shows another target
    clip: float = 0.75            # shares of what pairs come from; of what the pool lacks, the
    tracked: float = 0.25         # rest takes over
    still: float = 0.25

    def __post_init__(self) -> None:
        if self.frame_gap < 1:
            raise ValueError(f'frame_gap is {self.frame_gap}: give 1 or more')
        for name in ('scale', 'shift', 'clip', 'tracked', 'still'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} is {getattr(self, name)}: give 0 or more')
        if not self.smallest >= 1:
            raise ValueError(f'smallest is {self.smallest}: give 1 pixel or more')
        for name in ('flip', 'colour', 'look', 'absent'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}: give 0 to 1')


def without_luck(config: PublishedConfig) -> PublishedConfig:
    """The same with pictures as they are and targets that are there; places still vary."""
    return replace(config, flip=0.0, colour=0.0, look=0.0, absent=0.0)


class View(NamedTuple):
    """One crop and the true box in it."""

    image: np.ndarray      # (S, S, 3) uint8 BGR
    box: np.ndarray        # (4,) float64 x1, y1, x2, y2 in its pixels, cut at its border


class Pair(NamedTuple):
    """One training sample."""

    template: View
    search: View
    present: bool          # False: what the search crop shows is another target


def corners(item: Item) -> np.ndarray:
    """Box of an object, (4,) float64 x1, y1, x2, y2 in pixels of its image."""
    x, y, w, h = item.box
    return np.array((x, y, x + w, y + h), np.float64)


def view_of(item: Item, box: np.ndarray, plan: CropPlan) -> View:
    """Execute a plan on an object's image; ``box`` is the object's, xyxy."""
    crop = sample_bilinear(item.image, plan)
    return View(np.clip(crop.round(), 0, 255).astype(np.uint8),
                clip(to_crop(box, plan), (plan.size, plan.size)))


def mirrored(view: View) -> View:
    """The view in a mirror, its box with it (continuous: x becomes size - x)."""
    size = view.image.shape[1]
    x1, y1, x2, y2 = view.box
    return View(cv2.flip(view.image, 1), np.array((size - x2, y1, size - x1, y2)))


def cells_of(box: np.ndarray, grid: int) -> np.ndarray:
    """(grid, grid) bool, row-major: cells that a box xyxy in crop pixels touches."""
    (x1, x2), (y1, y2) = (rasterise(box[k] / PATCH, box[k + 2] / PATCH) for k in (0, 1))
    return template_mask((x1, y1, x2, y2), grid) > 0


def frames_of(length: int, gap: int, rng: np.random.Generator) -> tuple[int, int]:
    """Choose the template's frame and, within ``gap`` of it, another one; one frame is taken
    twice."""
    first = int(rng.integers(length))
    low, high = max(first - gap, 0), min(first + gap, length - 1)
    if low == high:
        return first, first
    other = int(rng.integers(low, high))
    return first, other + (other >= first)


class PublishedPairs:
    """Draws pairs from a pool by key; see ``lorat_ros.training.method.Draws``."""

    def __init__(self, pool: Pool, sizes: CropSizes, config: Optional[PublishedConfig] = None
                 ) -> None:
        """
        Read nothing yet.

        :raises ValueError: the pool holds nothing that the configuration asks for.
        """
        self.pool, self.sizes, self.config = pool, sizes, config or PublishedConfig()
        kinds: dict[str, Mapping[str, Sequence[Any]]] = {      # of items, or tracks of them
            'clip': pool.clips, 'tracked': pool.tracks, 'still': pool.stills}
        shares = {kind: getattr(self.config, kind) for kind, groups in kinds.items() if groups}
        if not sum(shares.values()) > 0:
            raise ValueError('the pool holds nothing that pairs could be made of: they take '
                             'clips or stills with boxes, or self-labelled tracks, and this has '
                             f'{", ".join(f"{len(g)} of {k}" for k, g in kinds.items())}')
        self._kinds = list(shares)
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        # The root keeps one large source from drowning the others.
        self._groups = {kind: (list(kinds[kind].items()), np.cumsum(
            [np.sqrt(len(g)) * pool.weights.get(n, 1.0) for n, g in kinds[kind].items()]))
            for kind in shares}
        if self.config.absent and len({n for k in shares for n in kinds[k]}) < 2:
            raise ValueError(f'draws.absent is {self.config.absent}, and the pool has one clip or '
                             'source of stills, so that nothing else can be shown: give more '
                             'data, or draws.absent=0')

    def _two(self, rng: np.random.Generator) -> tuple[str, Item, Item]:
        """Name of a clip or source, and two views of one of its objects."""
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._shares))]
        members, heap = self._groups[kind]
        name, group = members[int(np.searchsorted(heap / heap[-1], rng.random(), side='right'))]
        if kind == 'still':
            item = group[int(rng.integers(len(group)))]
            return name, item, item
        frames: Sequence[Item] = group[int(rng.integers(len(group)))] if kind == 'tracked' \
            else group
        first, other = frames_of(len(frames), self.config.frame_gap, rng)
        return name, frames[first], frames[other]

    def _template(self, item: Item) -> View:
        box, sizes = corners(item), self.sizes
        return view_of(item, box, plan_window(box, sizes.template_factor, sizes.template,
                                              wh_of(item.image), cv2.mean(item.image)[:3]))

    def _search(self, item: Item, rng: np.random.Generator) -> Optional[View]:
        """Cut where chance says; None: too little of the target would be seen."""
        config, size, box = self.config, self.sizes.search, corners(item)
        nominal, _ = nominal_window(grow(box, SMALLEST_STATE), self.sizes.search_factor, size)
        centre, wh = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        for _ in range(REDRAWS):
            scale = nominal / np.exp(config.scale * rng.normal(0, 1, 2))
            reach = config.shift * np.mean(wh * scale)
            shift = size / 2 - scale * centre + rng.uniform(-1, 1, 2) * reach
            plan = align_window(scale.tolist(), shift.tolist(), size, wh_of(item.image),
                                cv2.mean(item.image)[:3])
            seen = clip(to_crop(box, plan), (size, size))
            # Of a small target the whole is little: then that much of it.
            least = np.minimum(config.smallest, 0.5 * wh * plan.scale)
            if plan.source[2] > plan.source[0] and (seen[2:] - seen[:2] >= least).all():
                return view_of(item, box, plan)
        return None

    def _pair(self, rng: np.random.Generator) -> Pair:
        for _ in range(RESAMPLES):
            name, first, second = self._two(rng)
            present = not rng.random() < self.config.absent
            while not present and (found := self._two(rng))[0] == name:
                pass
            item = second if present else found[2]
            if (search := self._search(item, rng)) is not None:
                return Pair(self._template(first), search, present)
        box, sizes = corners(item), self.sizes
        plan = plan_window(grow(box, SMALLEST_STATE), sizes.search_factor, sizes.search,
                           wh_of(item.image), cv2.mean(item.image)[:3])
        return Pair(self._template(first), view_of(item, box, plan), present)

    def draw(self, *key: int) -> Pair:
        """Draw the pair of a key, for example (seed, step, number in the batch)."""
        rng, config = np.random.default_rng(key), self.config
        pair = self._pair(rng)
        look = published_looks.one_look(rng) if rng.random() < config.look else None
        views = []
        for view in pair[:2]:
            if rng.random() < config.flip:
                view = mirrored(view)
            image = published_looks.jittered(view.image, config.colour, rng) if config.colour \
                else view.image
            views.append(view._replace(image=look(image) if look else image))
        template, search = views
        return Pair(template, search, pair.present)

    def batch(self, keys: Iterable[tuple[int, ...]]) -> dict[str, np.ndarray]:
        """
        Draw the pairs of these keys as arrays; T, S sides of the crops, t, G their grids.

        :returns: 'template' (N, T, T, 3) and 'search' (N, S, S, 3), uint8 BGR; 'mask' (N, t, t)
            float32, 1 in the target's cells; 'box' (N, 4) float32 x1, y1, x2, y2 in units of the
            search crop; 'positive' (N, G, G) bool, cells that the target touches; 'present' (N,).
        """
        pairs = [self.draw(*key) for key in keys]
        return {'template': np.stack([p.template.image for p in pairs]),
                'mask': np.stack([self._mask(p) for p in pairs]),
                'search': np.stack([p.search.image for p in pairs]),
                'box': np.stack([p.search.box / self.sizes.search
                                 for p in pairs]).astype(np.float32),
                'positive': np.stack([cells_of(p.search.box, self.sizes.search // PATCH)
                                      & p.present for p in pairs]),
                'present': np.array([p.present for p in pairs])}

    def _mask(self, pair: Pair) -> np.ndarray:
        return cells_of(pair.template.box, self.sizes.template // PATCH).astype(np.float32)

    def picture(self, key: tuple[int, ...]) -> np.ndarray:
        """Draw the pair of a key as people look at it."""
        pair = self.draw(*key)
        return draw_pair(pair.template.image, self._mask(pair), pair.search.image,
                         pair.search.box / self.sizes.search, pair.present)
