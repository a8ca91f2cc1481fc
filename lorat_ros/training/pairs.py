# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pairs of template and search crop, with the box that is to be found.

Kinds of pair (shares in ``PairConfig``): two frames of a labelled clip or of a self-labelled
track; a labelled still seen twice; an object cut out and pasted on other backgrounds among others
of its kind; any textured rectangle of any image seen twice. Every crop is one affine warp out of
its image.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from lorat_ros.tracking.crops import window_side
from lorat_ros.tracking.kestrel import cover_of_cells, STRIDE
from lorat_ros.training import augment, compose
from lorat_ros.training.items import Item, outline_of_box
from lorat_ros.training.pictures import draw_pair
from lorat_ros.training.pool import Pool
from lorat_ros.training.store import PictureError, TRIES


@dataclass(frozen=True)
class PairConfig:
    """What the pairs are made of. Sides in pixels, the rest shares and spreads."""

    search_size: int = 160
    template_size: int = 80
    search_factor: float = 4.0
    template_factor: float = 2.0
    clip: float = 0.25
    tracked: float = 0.15          # self-labelled tracks, where the pool has some
    still: float = 0.15
    paste: float = 0.25
    texture: float = 0.20
    frame_gap: int = 45
    degraded: float = 0.6          # share of crops with strong camera faults
    look_alike: float = 0.3        # share of pairs that get copies of the target
    absent: float = 0.20           # share of pairs whose search crop lacks the target
    elsewhere: float = 0.5         # share of those that show another place of the same image
    dyed: float = 0.15             # share, of pairs that show a target with a mask, that dye it
    dyed_once: float = 0.6         # share of those that dye it in one of the two crops only
    occluder: float = 0.25         # share of pairs with something before the target
    hidden_from: float = 0.75      # covered share from which the target counts as absent
    turned: float = 0.3            # share of pairs with strong rotation


@dataclass
class Pair:
    """One training sample."""

    template: np.ndarray           # (T, T, 3) uint8 BGR
    mask: np.ndarray               # (T/16, T/16) float32, share of each cell under the target
    search: np.ndarray             # (S, S, 3) uint8 BGR
    box: np.ndarray                # (4,) float32: x1, y1, x2, y2 in units of the search region
    present: bool                  # False: the target is not in the search crop


Picked = TypeVar('Picked')


class PairSampler:
    """Draws pairs from a pool by key; the same key draws the same pair, in any process."""

    def __init__(self, pool: Pool, config: PairConfig | None = None) -> None:
        self.pool, self.config = pool, config or PairConfig()
        self.rng = np.random.default_rng()
        self.masked = pool.masked()
        # The root keeps one large source from drowning the others.
        sources: tuple[Mapping[str, Sequence[Any]], ...] = (pool.clips, pool.stills, pool.tracks)
        self._groups = {id(groups): (list(groups.values()), np.cumsum(
            [np.sqrt(len(g)) * pool.weights.get(n, 1.0) for n, g in groups.items()]))
            for groups in sources}
        kinds = {'clip': bool(pool.clips), 'tracked': bool(pool.tracks),
                 'still': bool(pool.stills), 'paste': bool(len(self.masked)),
                 'texture': bool(len(pool.images))}
        share = np.array([getattr(self.config, k) * usable for k, usable in kinds.items()])
        if share.sum() <= 0:
            raise ValueError('the pool holds nothing for the kinds of pair that are asked for: '
                             f'usable are {[k for k, v in kinds.items() if v]}')
        self.kinds, self.share = list(kinds), share / share.sum()
        self.makers = {'clip': self._from_clip, 'tracked': self._from_track,
                       'still': self._from_still, 'texture': self._from_texture}

    def _pick(self, items: Sequence[Picked]) -> Picked:
        return items[int(self.rng.integers(len(items)))]

    def _pick_group(self, groups: Mapping[str, Sequence[Picked]]) -> Sequence[Picked]:
        members, heap = self._groups[id(groups)]
        return members[int(np.searchsorted(heap / heap[-1], self.rng.random(), side='right'))]

    def _cut_out(self) -> Item:
        """An object with a mask; a mask that is missing or far too small is passed over."""
        for _ in range(TRIES):
            if (item := self._pick(self.masked)).mask is not None:
                return item
        raise PictureError(f'{TRIES} objects in a row lack the mask that their labels speak of, '
                           'or it is under 8 pixels: check the PNG files of the masks')

    def _from_clip(self) -> tuple[Item, Item]:
        return self._two_frames(self._pick_group(self.pool.clips))

    def _from_track(self) -> tuple[Item, Item]:
        return self._two_frames(self._pick(self._pick_group(self.pool.tracks)))

    def _two_frames(self, clip: Sequence[Item]) -> tuple[Item, Item]:
        first = int(self.rng.integers(len(clip)))
        gap = int(self.rng.integers(-self.config.frame_gap, self.config.frame_gap + 1))
        return clip[first], clip[int(np.clip(first + gap, 0, len(clip) - 1))]

    def _from_still(self) -> tuple[Item, Item]:
        item = self._pick(self._pick_group(self.pool.stills))
        return item, item

    def _from_texture(self) -> tuple[Item, Item]:
        for _ in range(30):       # skies and walls show nothing to follow
            image = self._pick(self.pool.images)
            height, width = image.shape[:2]
            side = np.exp(self.rng.uniform(np.log(18), np.log(0.55 * min(width, height))))
            aspect = np.exp(self.rng.normal(0, 0.4))
            w = min(side * np.sqrt(aspect), 0.9 * width)
            h = min(side / np.sqrt(aspect), 0.9 * height)
            x, y = self.rng.uniform(0, width - w), self.rng.uniform(0, height - h)
            if image[int(y):int(y + h), int(x):int(x + w)].std() > 16:
                break
        box = (x, y, w, h)
        return (item := Item(image, box, outline_of_box(box))), item

    def _warp_of(self, outline: np.ndarray, search: bool, turn: float, mirror: float,
                 aspect: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (2, 3) image to crop, and the target's box x1, y1, x2, y2 in crop pixels."""
        rng, config = self.rng, self.config
        size = config.search_size if search else config.template_size
        factor = config.search_factor if search else config.template_factor
        stretch = np.exp([aspect / 2, -aspect / 2]) * (mirror, 1.0)
        turning = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        linear = turning * stretch
        points = outline @ linear.T
        low, high = points.min(0), points.max(0)
        w, h = high - low
        spread, reach = (0.25, 0.40 if rng.random() < 0.4 else 0.18) if search else (0.06, 0.03)
        scale = size / window_side(w, h, factor) * np.exp(rng.normal(0, spread))
        goal = size * (0.5 + rng.uniform(-reach, reach, 2))
        offset = goal - scale * (low + high) / 2
        box = np.concatenate([low * scale + offset, high * scale + offset])
        return np.hstack([scale * linear, offset[:, None]]), box

    def _views(self, first: Item, second: Item) -> list[tuple[np.ndarray, np.ndarray]]:
        """Warps and boxes of the template and of the search crop."""
        rng = self.rng
        mirror = rng.choice((-1.0, 1.0))
        spread = 0.6 if rng.random() < self.config.turned else 0.12
        return [self._warp_of(first.outline, False, rng.normal(0, 0.05), mirror,
                              rng.normal(0, 0.03)),
                self._warp_of(second.outline, True, rng.normal(0, spread), mirror,
                              rng.normal(0, 0.13))]

    def _crop(self, image: np.ndarray, warp: np.ndarray, size: int, mean_fill: bool
              ) -> np.ndarray:
        border = cv2.BORDER_CONSTANT if mean_fill else cv2.BORDER_REFLECT_101
        fill = tuple(image[::16, ::16].reshape(-1, 3).mean(0).tolist())
        if abs(np.linalg.det(warp[:, :2])) < 0.3:      # bilinear from a large target would alias
            whole = image.shape[1::-1]
            image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            factor = np.divide(whole, image.shape[1::-1])      # not quite 2 for odd sides
            warp = np.hstack([warp[:, :2] * factor, warp[:, 2:]])
        return compose.warp_pixels(image, warp, size, border, fill)

    def _stranger(self, item: Item, view: tuple[np.ndarray, np.ndarray]
                  ) -> tuple[Item, np.ndarray]:
        """Something else where the target would be: another object, or another scene."""
        if len(self.masked) and self.rng.random() < 0.6:
            other = self._cut_out()
            if not other.shares_image(item):
                return other, self._warp_of(other.outline, True, 0.0, 1.0, 0.0)[0]
        image = self._pick(self.pool.images)
        return Item(image, item.box, item.outline), view[0]

    def _elsewhere(self, item: Item, view: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
        """
        Warp to a place in the same image that does not show the target, where there is one.

        It is what a tracker sees after it has drifted: the target's own surroundings, which the
        template shows too, and nothing of the target.
        """
        warp, (x1, y1, x2, y2) = view
        size, (height, width) = self.config.search_size, item.image.shape[:2]
        for _ in range(6):
            turn = self.rng.uniform(0, 2 * np.pi)
            across, down = np.cos(turn), np.sin(turn)
            out = min(((size - low) if way > 0 else high) / max(abs(way), 1e-6)
                      for way, low, high in ((across, x1, x2), (down, y1, y2)))
            shift = np.array((across, down)) * out * self.rng.uniform(1.02, 1.6)
            moved = np.hstack([warp[:, :2], (warp[:, 2] + shift)[:, None]])
            x, y = np.linalg.solve(moved[:, :2], size / 2 - moved[:, 2])
            if 0 <= x < width and 0 <= y < height:
                return moved
        return None

    def _pasted(self, views: list[tuple[np.ndarray, np.ndarray]], items: tuple[Item, Item],
                absent: bool) -> list[np.ndarray]:
        """Objects on other backgrounds: the template crop and the search crop."""
        rng = self.rng
        crops = []
        image = self._pick(self.pool.images)
        for number, ((warp, box), item) in enumerate(zip(views, items)):
            size = self.config.search_size if number else self.config.template_size
            if number and rng.random() < 0.4:
                image = self._pick(self.pool.images)
            crop = compose.backdrop(image, size, rng)
            for _ in range(int(rng.integers(0, 3)) if number else 0):
                compose.paste_elsewhere(crop, self._cut_out(), box, rng)
            if not (number and absent):
                compose.paste(crop, item, warp, rng)
            crops.append(crop)
        return crops

    def draw(self, *key: int) -> Pair:
        """Draw the pair of a key, for example (seed, step, number in the batch)."""
        self.rng = np.random.default_rng(key)
        rng, config = self.rng, self.config
        kind = self.kinds[int(rng.choice(len(self.kinds), p=self.share))]
        absent = rng.random() < config.absent
        if kind == 'paste':
            pair = self._from_clip() if self.pool.clips and rng.random() < 0.4 else ()
            if not pair or any(i.mask is None for i in pair):
                pair = (self._cut_out(),) * 2
            views = self._views(*pair)
            template, search = self._pasted(views, pair, absent)
        else:
            pair = self.makers[kind]()
            views = self._views(*pair)
            mean_fill = rng.random() < 0.6
            template = self._crop(pair[0].image, views[0][0], config.template_size, mean_fill)
            item, warp = pair[1], views[1][0]
            if absent:
                near = rng.random() < config.elsewhere
                moved = self._elsewhere(item, views[1]) if near else None
                item, warp = self._stranger(item, views[1]) if moved is None else (item, moved)
            search = self._crop(item.image, warp, config.search_size, mean_fill)
        box, other = views[1][1], False
        if not absent and config.dyed and rng.random() < config.dyed and \
                all(item.mask is not None for item in pair):
            crops = [template, search]
            shapes = [compose.silhouette(item, view[0], len(crop))
                      for item, view, crop in zip(pair, views, crops)]
            absent = other = compose.dye(crops, shapes, rng, rng.random() < config.dyed_once)
            template, search = crops
        if not absent and rng.random() < config.look_alike:
            for _ in range(int(rng.integers(1, 3))):
                compose.look_alike(search, box, rng)
        if not absent and rng.random() < config.occluder:
            cover = compose.occlude(search, box, self._pick(self.pool.images), rng)
            absent = cover > config.hidden_from
        search, template = self._photographed(search, template, hueless=not other)
        x1, y1, x2, y2 = views[0][1]
        mask = cover_of_cells((x1, y1, x2 - x1, y2 - y1), config.template_size // STRIDE,
                              config.template_size)
        return Pair(template, mask, search, (box / config.search_size).astype(np.float32),
                    not absent)

    def _photographed(self, search: np.ndarray, template: np.ndarray, hueless: bool
                      ) -> tuple[np.ndarray, np.ndarray]:
        rng, config = self.rng, self.config
        if hueless and rng.random() < 0.12:
            search, template = augment.grey(search), augment.grey(template)
        bad = rng.random(2) < (config.degraded, config.degraded / 2)
        return (augment.camera(search, rng, 1.0 if bad[0] else 0.0),
                augment.camera(template, rng, 0.7 if bad[1] else 0.0))

    def batch(self, keys: Iterable[tuple[int, ...]]) -> dict[str, np.ndarray]:
        """Draw the pairs of these keys as arrays: template, mask, search, box, present."""
        pairs = [self.draw(*key) for key in keys]
        return {name: np.stack([np.asarray(getattr(p, name)) for p in pairs])
                for name in ('template', 'mask', 'search', 'box', 'present')}

    def picture(self, key: tuple[int, ...]) -> np.ndarray:
        """Draw the pair of a key as people look at it."""
        pair = self.draw(*key)
        return draw_pair(pair.template, pair.mask, pair.search, pair.box, pair.present)
