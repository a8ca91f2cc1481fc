# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
FARTrack's last stage (ICLR 2026): learning by following targets, templates thinned out.

The network follows each target through a run of frames by its own boxes, with the templates that
come of them, and learns from how each box fits. In the first frame it sees all tokens; how the
centre of the search region looks at them says which quarter of every slot but the last is hidden
from then on.

Two things are not as the published training does them. There, crops of this stage are cut by
another rule than the tracker's (filled with the mean colour, boxes rounded); here, by the
tracker's own. And a frame whose target is beyond all that words can say teaches nothing here; it
counts as wrong as can be, so that losing the target soon does not look like success.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import nn

from lorat_ros.boxes import Box, iou_xywh
from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
from lorat_ros.networks.fartrack import bound_commands, FarTrack, sizes_of
from lorat_ros.tracking.fartrack import mean_of_both
from lorat_ros.tracking.square_crop import clip_box, sample_square, square_around, SquareCrop
from lorat_ros.tracking.template_memory import exponential, SLOTS
from lorat_ros.training import fartrack_files as files
from lorat_ros.training.clip_draws import ClipConfig, ClipDraws
from lorat_ros.training.fartrack_words import (expected, HIGH, LOW, sequence_of, template_tokens)
from lorat_ros.training.method import Arrays, Given, TrainError
from lorat_ros.training.pool import Pool
from lorat_ros.training.siou import siou_loss, WORST
from lorat_ros.training.square_draws import as_inputs

TEMPLATE_FACTOR, SEARCH_FACTOR = 2.0, 4.0      # sides of the crops in square roots of the box
PROBE_RUNS = 4                                 # of those asked for at once: they are long
_CURE = ('this stage begins with what the stage distill made. Give its FARTrackDistill.pth.tar, '
         'or FARTrackDistill_ep….pth.tar of the authors')


@dataclass(frozen=True)
class SparseSettings:
    """What a recipe may say."""

    depth: int = files.LAYERS     # layers to train and to make a bundle of, without --variant
    draws: ClipConfig = field(default_factory=ClipConfig)
    siou: float = 2.0             # weight of the loss, the only one
    backbone_rate: float = 0.1    # of the learning rate


class ClipProbes(ClipDraws):
    """A few of the runs that are asked for."""

    def batch(self, keys: Iterable[tuple[int, ...]]) -> Arrays:
        """See ``ClipDraws``; of the first keys."""
        return super().batch(list(keys)[:PROBE_RUNS])


def tokens_kept(centre: torch.Tensor, cells: int, kept: int) -> torch.Tensor:
    """
    Which tokens of the older templates stay.

    :param centre: (N, L) how the centre of the search region looks at all tokens, all there.
    :param cells: tokens of a template.
    :returns: (N, slots - 1, kept) places in each slot, rising.
    """
    rank = centre[:, :(SLOTS - 1) * cells].unflatten(1, (SLOTS - 1, cells))
    # Of equal ones the first goes, as in the tracker.
    return rank.float().argsort(dim=-1, stable=True)[..., cells - kept:].sort(-1).values


def thinned(tokens: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Tokens (N, slots, cells, D) without those hidden: (N, L, D); the last slot is whole."""
    places = kept.unsqueeze(-1).expand(-1, -1, -1, tokens.shape[-1])
    return torch.cat([tokens[:, :-1].gather(2, places).flatten(1, 2), tokens[:, -1]], 1)


class Runs:
    """Where targets are believed to be in several runs of frames, and what was cut there."""

    def __init__(self, batch: Mapping[str, torch.Tensor], sizes: tuple[int, int]) -> None:
        """
        Begin with the true boxes of the first frames.

        :param batch: as ``ClipDraws.batch`` gives it.
        :param sizes: of template and search crops, pixels.
        """
        # On the CPU, by the code that the tracker runs: training sees what use will see.
        self._frames, self._size, truth = (batch[name].cpu().numpy()
                                           for name in ('frames', 'size', 'box'))
        self.truth, self.device = truth.astype(np.float64), batch['frames'].device
        self._template, self._search = sizes
        self.boxes: list[Box] = [tuple(box) for box in self.truth[:, 0].tolist()]
        self._templates = [self._cut_templates(0)]

    @property
    def length(self) -> int:
        """Frames of a run."""
        return self._frames.shape[1]

    def _image(self, run: int, frame: int) -> np.ndarray:
        width, height = self._size[run, frame]
        return self._frames[run, frame, :height, :width]

    def _cut(self, frame: int, crops: Sequence[SquareCrop]) -> torch.Tensor:
        cut = np.stack([sample_square(self._image(run, frame), crop)
                        for run, crop in enumerate(crops)])
        return as_inputs(torch.from_numpy(cut).to(self.device))

    def _cut_templates(self, frame: int) -> torch.Tensor:
        return self._cut(frame, [square_around(box, TEMPLATE_FACTOR, self._template)
                                 for box in self.boxes])

    def look(self, frame: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Cut the search crops of a frame around the boxes of the one before.

        :returns: templates (N, slots, 3, T, T), search crops (N, 3, S, S), and the true boxes
            (N, 4) x1, y1, x2, y2 in units of these.
        """
        self._crops = [square_around(box, SEARCH_FACTOR, self._search) for box in self.boxes]
        truth = [crop.to_crop(box) for crop, box in zip(self._crops, self.truth[:, frame])]
        templates = torch.stack([self._templates[slot] for slot in exponential(frame - 1)], 1)
        return (templates, self._cut(frame, self._crops),
                torch.tensor(truth, dtype=torch.float32, device=self.device))

    def move(self, frame: int, logits: np.ndarray) -> float:
        """
        Believe what the network says (N, 4, 605) of a frame; returns the sum of the overlaps.

        As in the tracker, a box stays where it was if what is said is no number.
        """
        for run, said in enumerate(logits):
            if np.isfinite(said).all():
                x1, y1, x2, y2 = mean_of_both(said).tolist()
                found = self._crops[run].to_image(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1,
                                                   y2 - y1))
                self.boxes[run] = clip_box(found, tuple(self._size[run, frame].tolist()))
        self._templates.append(self._cut_templates(frame))
        return float(iou_xywh(np.array(self.boxes), self.truth[:, frame]).sum())


class SparseObjective(nn.Module):
    """How well a network follows targets."""

    def __init__(self, network: FarTrack, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight

    def look(self, templates: torch.Tensor, image: torch.Tensor, kept: Optional[torch.Tensor]
             ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Look at one frame of several runs.

        :param templates: (N, slots, 3, T, T), normalised RGB.
        :param image: (N, 3, S, S), likewise.
        :param kept: tokens that there are of all templates but the newest; None: all of them.
        :returns: logits (N, 4, 605); and what is kept from now on, (N, slots - 1, kept).
        """
        config, tokens = self.network.config, template_tokens(self.network, templates)
        seen = tokens.flatten(1, 2) if kept is None else thinned(tokens, kept)
        logits, centre = self.network.read(sequence_of(self.network, seen, image))
        if kept is None:
            kept = tokens_kept(centre.detach(), config.template_cells, config.kept)
        return logits.float(), kept

    def forward(self, batch: Mapping[str, torch.Tensor], counts: Mapping[str, float]
                ) -> dict[str, torch.Tensor]:
        """See ``lorat_ros.training.method.Objective``."""
        self._bound_commands()
        config = self.network.config
        runs = Runs(batch, (config.template_size, config.search_size))
        total, overlap, kept = torch.zeros((), device=runs.device), 0.0, None
        for frame in range(1, runs.length):
            templates, image, truth = runs.look(frame)
            logits, kept = self.look(templates, image, kept)
            truth = truth.clamp(LOW, HIGH)
            there = (truth[:, 2:] - truth[:, :2]).amin(1) > 0
            loss, _ = siou_loss(expected(logits[there]), truth[there])
            total = total + (loss.sum() + WORST * (~there).sum()) / counts['frames']
            overlap += runs.move(frame, logits.detach().cpu().numpy())
        return {'total': self.weight * total,
                'overlap': torch.tensor(overlap / counts['frames'], device=runs.device)}

    def _bound_commands(self) -> None:
        """Shorten the commands' words where they have grown too long, as published: in place."""
        table = self.network.backbone.word_embeddings.weight
        with torch.no_grad():
            table.copy_(bound_commands(table))


class SparseMethod:
    """Sequence by sequence; see ``lorat_ros.training.method.Method``."""

    Settings = SparseSettings
    product = f'{files.NAMES["sparse"]}.pth.tar'

    def __init__(self, settings: SparseSettings, given: Given) -> None:
        self.settings = settings
        wanted = files.asked_for(given, 'sparse', settings.depth)
        if given.start is None:
            raise TrainError(f'--from is missing: {_CURE}')
        tensors = read_checkpoint(given.start).tensors
        if 'identity' not in tensors:
            raise TrainError(f'{given.start} is no checkpoint of FARTrack: {_CURE}')
        try:
            self.config = replace(wanted, **sizes_of(tensors))      # its sizes are the file's
            network, self.rest = files.network_of(self.config,
                                                  files.take_over(tensors, self.config))
        except CheckpointError as error:
            raise TrainError(f'{given.start}: {error}') from None
        self.objective = SparseObjective(network, settings.siou)

    def draws(self, pool: Pool) -> ClipDraws:
        """Runs of frames."""
        return ClipDraws(pool, self.settings.draws)

    def probes(self, pool: Pool) -> ClipProbes:
        """Runs of frames, fewer."""
        return ClipProbes(pool, self.settings.draws)

    def counts(self, batch: Arrays) -> dict[str, float]:
        """Frames that are searched in."""
        runs, frames = batch['box'].shape[:2]
        return {'frames': runs * (frames - 1)}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """See ``fartrack_files.groups``."""
        return files.groups(self.objective.network, weight_decay, self.settings.backbone_rate)

    def blocks(self) -> Sequence[nn.Module]:
        """All layers."""
        return self.objective.network.layers

    def identity(self) -> dict[str, Any]:
        """Depth and sizes."""
        return {'method': 'fartrack-sparse', **asdict(self.config)}

    def write(self, network: FarTrack, path: Path, about: Mapping[str, Any]) -> None:
        """See ``fartrack_files.write_official``; deeper layers are as they began."""
        files.write_official(network, self.rest, path, about)

    def export(self, product: Path, bundle: Path, about: Mapping[str, Any],
               clip: Callable[[], Any]) -> None:
        """Make a bundle, and prove it on real frames."""
        files.export(product, self.config, bundle, about, clip)
