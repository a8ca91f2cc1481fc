# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FARTrack before and after its network: crops, templates of different age, words to boxes."""
from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.engines.session import arrays, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.tracking.family import Answer, CropSizes, reading
from lorat_ros.tracking.sampler import HOST, Sampler
from lorat_ros.tracking.square_crop import (clip_box, CROPS, normalise, sample_square,
                                            square_around, SquareCrop)
from lorat_ros.tracking.template_memory import SCHEDULES, TemplateMemory

COORDINATES = 600                        # words that are coordinates, from -0.5 to 1.5
_STEPS = COORDINATES // 2 - 1            # of a word, in the crop's side
_GRID = np.arange(COORDINATES) / (COORDINATES / 2) - 0.5


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    raised = np.exp(logits - logits.max(-1, keepdims=True).astype(np.float64))
    return raised / raised.sum(-1, keepdims=True)


def likeliest(logits: np.ndarray) -> np.ndarray:
    """
    Coordinates (...) of the likeliest words of logits (..., 605): stages base and distill.

    As published, a command that is likelier than every coordinate counts as one just beyond 1.5.
    """
    return np.argmax(logits, -1) / _STEPS - 0.5


def expected(logits: np.ndarray) -> np.ndarray:
    """Expectation (...) of the coordinates in logits (..., 605); commands do not count."""
    return softmax(logits[..., :COORDINATES]) @ _GRID


def mean_of_both(logits: np.ndarray) -> np.ndarray:
    """
    Coordinates (...) of logits (..., 605) as the sparse stage reads them.

    The mean of expectation and likeliest word, whose middle is taken: the two grids differ, as
    published.
    """
    return (likeliest(logits) + 0.5 / _STEPS + expected(logits)) / 2


#: Name in model.json to the rule: logits (..., 605) to coordinates (...) in crops' sides.
DECODINGS = {'likeliest': likeliest, 'mean': mean_of_both}


def score_of(logits: np.ndarray) -> float:
    """
    How sure the network is of its four coordinates, in [0, 1]: fourth root of the product of the
    likeliest ones' probabilities.

    The mean by multiplication: one side that is anybody's guess says that the box is not known,
    however sure the three others are. A likely command lowers it, for it leaves less to
    coordinates.

    :param logits: (4, 605).
    """
    chosen = softmax(logits)[..., :COORDINATES].max(-1)
    return float(np.prod(chosen) ** 0.25)


def kept_tokens(rank: np.ndarray, count: int) -> np.ndarray:
    """Which tokens of a template stay: the ``count`` of highest rank, in their order."""
    return np.sort(np.argsort(rank, kind='stable')[len(rank) - count:])


class FarTrackFamily:
    """
    One target of a FARTrack model.

    A template is embedded once, in the frame after it was cut; what stays of its tokens then
    serves whenever it is in a slot again. Until four slots hold such templates, the graph
    'first' embeds all five.
    """

    roles = ('first', 'search')

    def __init__(self, bundle: Bundle, sampler: Sampler = HOST) -> None:
        self._sampler = sampler
        with reading(bundle) as manifest:
            self._sizes, post = CropSizes.of(manifest), manifest['postprocessing']
            self._slots_at = SCHEDULES[post['schedule']]
            self._decode = DECODINGS[post['decoding']]
            self._kept, self._capacity = int(post['kept']), int(post['capacity'])
            self._memory = TemplateMemory(self._capacity)
        self._box: Box = (0.0, 0.0, 0.0, 0.0)
        self._image: np.ndarray | None = None       # from ``look`` to ``answer``
        self._crop: SquareCrop                      # of the last ``look``
        self._newest = 0                            # number of the newest template
        self._fresh: dict[int, np.ndarray] = {}     # crops of templates not all of which are known
        #: Numbers of the templates that the last ``look`` put into the slots.
        self.slots: tuple[int, ...] = ()

    def start(self, image: np.ndarray, box: Box) -> dict[str, Value]:
        """Take a target; there is no graph to run for it."""
        self._box, self._newest, self._memory = box, 0, TemplateMemory(self._capacity)
        self._fresh = {0: self._cut_template(image)}
        return {}

    def remember(self, outputs: Mapping[str, Value]) -> None:
        """Nothing comes of ``start``."""

    @property
    def role(self) -> str:
        """Graph for the next frame: 'search' when all slots but the last hold known templates."""
        *older, last = self._slots_at(self._newest)
        return 'search' if last == self._newest and max(older) < last else 'first'

    def look(self, image: np.ndarray) -> dict[str, Value]:
        """Crop the search region around where the target was; choose the templates."""
        self._image = image
        self._crop = square_around(self._box, self._sizes.search_factor, self._sizes.search)
        inputs = {'image': self._sampler.cut(image, self._crop, CROPS)}
        self.slots = self._slots_at(self._newest)
        if self.role == 'first':
            templates = [normalise(self._fresh[number]) for number in self.slots]
            return {**inputs, 'templates': np.concatenate(templates)}
        *older, newest = self.slots
        self.slots = *map(self._memory.nearest, older), newest
        self._fresh = {newest: self._fresh[newest]}
        return {**inputs, 'newest': normalise(self._fresh[newest]),
                'memory': np.stack([self._memory[number] for number in self.slots[:-1]])[None]}

    def answer(self, outputs: Mapping[str, Value]) -> Answer:
        """Read the box, keep what the newest template is worth, and cut the next one."""
        image, self._image = self._image, None      # it may be a message's own memory
        if image is None:
            raise RuntimeError('answer() without look(): call look(image) for every answer')
        read = arrays(outputs)
        logits = read['logits'][0]
        usable = bool(np.isfinite(logits).all())
        if usable:
            x1, y1, x2, y2 = self._decode(logits).tolist()
            found = self._crop.to_image(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
            self._box = clip_box(found, (image.shape[1], image.shape[0]))
        self._judge(read)
        self._newest += 1
        self._fresh[self._newest] = self._cut_template(image)
        return Answer(self._box, score_of(logits) if usable else 0.0, self._crop.window)

    def around(self, box: Box) -> FarTrackFamily:
        """Make another one that looks around a box; the templates it cuts are its own."""
        other = copy.copy(self)
        other._box, other._fresh = box, dict(self._fresh)
        other._memory = self._memory.copy()
        return other

    def _judge(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Put the newest template's tokens into the memory, without those of lowest rank."""
        embedded = outputs['tokens']
        place = self.slots.index(self._newest) if len(embedded) > 1 else 0
        # Indices copy: nothing else of what came out stays in memory.
        kept = embedded[place][kept_tokens(outputs['rank'][0], self._kept)]
        # What is no number would be looked at again and again; its neighbour stands in for it.
        if np.isfinite(kept).all() or not len(self._memory):
            self._memory.add(self._newest, kept, self._slots_at(self._newest)[1])

    def _cut_template(self, image: np.ndarray) -> np.ndarray:
        """Crop of the present box, (112, 112, 3) uint8 BGR; the host's: it is kept, as bytes."""
        return sample_square(image, square_around(self._box, self._sizes.template_factor,
                                                  self._sizes.template))
