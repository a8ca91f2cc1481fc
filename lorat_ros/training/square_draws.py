# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Template and search crops as OSTrack (Ye et al., ECCV 2022) and its descendants are trained with.

Every crop is the square that the tracker itself would cut (``lorat_ros.tracking.square_crop``),
around a box that was moved and resized by chance; what is to be found is where the true box lies
in there. Frames come from labelled clips, self-labelled tracks, and stills, which are seen twice.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from lorat_ros.boxes import Box, centre_xywh, wh_of
from lorat_ros.tracking.square_crop import sample_square, square_around, SquareCrop
from lorat_ros.training import augment
from lorat_ros.training.items import Item
from lorat_ros.training.pictures import PRESENT
from lorat_ros.training.pool import Pool

REDRAWS = 10         # crops that lose the target before one is taken around its true box
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)      # of ImageNet, RGB


@dataclass(frozen=True)
class SquareConfig:
    """What the crops are made of. The defaults are LiteTrack's."""

    template_size: int = 128          # side of the crop, pixels
    search_size: int = 256
    template_factor: float = 2.0      # side of the square, in square roots of the box's area
    search_factor: float = 4.0
    templates: int = 1                # template crops of a sample
    causal: bool = True               # templates come from frames before the search frame's
    frame_gap: int = 200              # labelled frames between the newest template and the search
    template_centre: float = 0.0      # the box moves by up to half of it, in roots of its area
    template_scale: float = 0.0       # spread of the logarithm of width and of height
    search_centre: float = 3.0
    search_scale: float = 0.25
    grey: float = 0.05                # share of samples without colour
    flip: float = 0.5                 # share of samples that are mirrored as a whole
    lone_flip: float = 0.0            # share of crops that are mirrored by themselves
    brightness: float = 0.2           # a crop's light changes by up to this share
    clip: float = 0.75                # shares of what samples come from; of what the pool lacks,
    tracked: float = 0.25             # the rest takes over
    still: float = 0.25

    def __post_init__(self) -> None:
        for name, least in (('template_size', 16), ('search_size', 16), ('templates', 1),
                            ('frame_gap', 1)):
            if getattr(self, name) < least:
                raise ValueError(f'{name} is {getattr(self, name)}: give {least} or more')
        for name in ('template_factor', 'search_factor'):
            if not getattr(self, name) >= 1:
                raise ValueError(f'{name} is {getattr(self, name)}: give 1 or more, or the crop '
                                 'would cut the target off')
        for name in ('template_centre', 'template_scale', 'search_centre', 'search_scale', 'clip',
                     'tracked', 'still'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} is {getattr(self, name)}: give 0 or more')
        for name in ('grey', 'flip', 'lone_flip', 'brightness'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}: give 0 to 1')


def without_luck(config: SquareConfig) -> SquareConfig:
    """The same without changes of the picture, to judge by; boxes still move, as in use."""
    return replace(config, grey=0.0, flip=0.0, lone_flip=0.0, brightness=0.0)


class View(NamedTuple):
    """One crop and the true box in it."""

    image: np.ndarray      # (S, S, 3) uint8 BGR
    box: np.ndarray        # (4,) float32 x1, y1, x2, y2 in units of the crop; not clipped
    crop: SquareCrop       # of the picture as it was, even where the view is mirrored


@dataclass
class Sample:
    """One training sample."""

    templates: list[View]      # in order of time, the newest last
    search: View


def as_inputs(crops: torch.Tensor) -> torch.Tensor:
    """
    Crops (N, S, S, 3) uint8 BGR to (N, 3, S, S) float32 RGB by ImageNet's colours.

    The published code then clamps them to 5 either side, which nothing made of bytes exceeds.
    """
    mean, std = (torch.tensor(v, device=crops.device).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    return (crops.flip(-1).permute(0, 3, 1, 2).float() / 255 - mean) / std


def jittered(box: Box, centre: float, scale: float, rng: np.random.Generator) -> Box:
    """
    Resize a box by a log-normal factor a side, then move it by a share of its new size.

    :param box: xywh, pixels.
    :param centre: the centre moves evenly within half of this, in roots of the new area, a side.
    :param scale: spread of the logarithm of each side.
    """
    w, h = np.asarray(box[2:]) * np.exp(rng.normal(0, 1, 2) * scale)
    x, y = centre_xywh(box) + np.sqrt(w * h) * centre * rng.uniform(-0.5, 0.5, 2)
    return float(x - w / 2), float(y - h / 2), float(w), float(h)


def shows(crop: SquareCrop, box: Box, image_wh: tuple[int, int]) -> bool:
    """Whether the middle of a box is in the crop, and any of the image."""
    x1, y1, x2, y2 = crop.to_crop(box)
    left, top, side, _ = crop.window
    return 0 < x1 + x2 < 2 and 0 < y1 + y2 < 2 and \
        left < image_wh[0] - 1 and top < image_wh[1] - 1 and left + side > 0 and top + side > 0


def mirrored(view: View) -> View:
    """The view in a mirror; pixel k becomes pixel size - 1 - k."""
    size = view.image.shape[0]
    x1, y1, x2, y2 = view.box
    ends = (size - 1) / size - x2, y1, (size - 1) / size - x1, y2
    return View(cv2.flip(view.image, 1), np.array(ends, np.float32), view.crop)


def frames_of(length: int, config: SquareConfig, rng: np.random.Generator) -> list[int]:
    """
    Choose the frames of a sample: of its templates in order of time, then of its search crop.

    Templates may repeat; in a clip that is too short they must.

    :param length: frames that there are.
    """
    gap, more = config.frame_gap, config.templates - 1
    last = max(length - 2, 0) if config.causal else length - 1
    newest = int(rng.integers(min(more, last), last + 1))
    low, end = max(newest - gap, 0), min(newest + gap, length - 1)
    if config.causal:
        others = rng.integers(low, max(newest, low + 1), more)
        search = int(rng.integers(min(newest + 1, end), end + 1))
    else:
        others = rng.integers(low, end + 1, more)
        search = int(rng.integers(low, end + 1))
    return [*sorted([newest, *others.tolist()]), search]


class SquareDraws:
    """Draws samples from a pool by key; see ``lorat_ros.training.method.Draws``."""

    def __init__(self, pool: Pool, config: SquareConfig | None = None) -> None:
        """
        Read nothing yet.

        :raises ValueError: the pool holds nothing that the configuration asks for.
        """
        self.pool, self.config = pool, config or SquareConfig()
        kinds: dict[str, Mapping[str, Sequence[Any]]] = {      # of items, or tracks of them
            'clip': pool.clips, 'tracked': pool.tracks, 'still': pool.stills}
        shares = {kind: getattr(self.config, kind) for kind, groups in kinds.items() if groups}
        if not sum(shares.values()) > 0:
            raise ValueError('the pool holds nothing that samples could be made of: they take '
                             'clips or stills with boxes, or self-labelled tracks, and this has '
                             f'{", ".join(f"{len(g)} of {k}" for k, g in kinds.items())}')
        self._kinds = list(shares)
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        # The root keeps one large source from drowning the others.
        self._groups = {kind: (list(kinds[kind].values()), np.cumsum(
            [np.sqrt(len(g)) * pool.weights.get(n, 1.0) for n, g in kinds[kind].items()]))
            for kind in shares}

    def _items(self, rng: np.random.Generator) -> list[Item]:
        """What the templates show, then what the search crop shows."""
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._shares))]
        members, heap = self._groups[kind]
        group = members[int(np.searchsorted(heap / heap[-1], rng.random(), side='right'))]
        if kind == 'still':
            return [group[int(rng.integers(len(group)))]] * (self.config.templates + 1)
        clip: Sequence[Item] = group[int(rng.integers(len(group)))] if kind == 'tracked' else group
        return [clip[place] for place in frames_of(len(clip), self.config, rng)]

    def _view(self, item: Item, role: str, rng: np.random.Generator) -> View:
        """Crop around a box that was moved by chance, or by none if that loses the target."""
        config, image = self.config, item.image
        size, factor, centre, scale = (getattr(config, f'{role}_{name}')
                                       for name in ('size', 'factor', 'centre', 'scale'))
        for _ in range(REDRAWS):
            crop = square_around(jittered(item.box, centre, scale, rng), factor, size)
            if shows(crop, item.box, wh_of(image)):
                break
        else:
            crop = square_around(item.box, factor, size)
        return View(sample_square(image, crop), np.array(crop.to_crop(item.box), np.float32), crop)

    def draw(self, *key: int) -> Sample:
        """Draw the sample of a key, for example (seed, step, number in the batch)."""
        rng, config = np.random.default_rng(key), self.config
        items = self._items(rng)
        views = [self._view(item, 'template', rng) for item in items[:-1]]
        views.append(self._view(items[-1], 'search', rng))
        grey, flip = rng.random(2) < (config.grey, config.flip)
        lone = rng.random(len(views)) < config.lone_flip
        light = 1 + config.brightness * rng.uniform(-1, 1, len(views))
        for place, view in enumerate(views):
            image = augment.grey(view.image) if grey else view.image
            view = view._replace(image=cv2.convertScaleAbs(image, alpha=float(light[place])))
            views[place] = mirrored(view) if flip != lone[place] else view
        return Sample(views[:-1], views[-1])

    def batch(self, keys: Iterable[tuple[int, ...]]) -> dict[str, np.ndarray]:
        """
        Draw the samples of these keys as arrays.

        :returns: 'template' (N, K, T, T, 3) and 'search' (N, S, S, 3), uint8 BGR; 'template_box'
            (N, K, 4) and 'box' (N, 4), float32 x1, y1, x2, y2 in units of the respective crop.
        """
        samples = [self.draw(*key) for key in keys]
        return {'template': np.stack([[v.image for v in s.templates] for s in samples]),
                'template_box': np.stack([[v.box for v in s.templates] for s in samples]),
                'search': np.stack([s.search.image for s in samples]),
                'box': np.stack([s.search.box for s in samples])}

    def picture(self, key: tuple[int, ...]) -> np.ndarray:
        """Draw the sample of a key as people look at it: templates on the left, newest last."""
        sample = self.draw(*key)
        small, size = self.config.template_size, self.config.search_size
        rows = max(size // small, 1)
        columns = -(-len(sample.templates) // rows)
        canvas = np.zeros((max(size, small), columns * small + size, 3), np.uint8)
        for place, view in enumerate([*sample.templates, sample.search]):
            column, row = divmod(place, rows) if place < len(sample.templates) else (columns, 0)
            x, y, side = column * small, row * small, view.image.shape[0]
            shown = view.image.copy()
            x1, y1, x2, y2 = np.round(view.box * side).astype(int).tolist()
            cv2.rectangle(shown, (x1, y1), (x2, y2), PRESENT, 1)
            canvas[y:y + side, x:x + side] = shown
        return canvas
