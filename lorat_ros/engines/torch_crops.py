# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Crops made by torch in the memory of a GPU.

What a crop needs of its image goes up in one copy from pinned memory, its taps with it; a dozen
small kernels do the rest on the session's own stream, so nobody waits for anybody. No number of
the crop ever comes back to the host.
"""
from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from lorat_ros.engines.sampling import Colours, needed_part, Recipe

ALIGNMENT = 16      # bytes; where numbers of another kind may begin


class TorchCrops:
    """Makes crops on a device of torch; see ``lorat_ros.engines.sampling.CropDevice``."""

    def __init__(self, device: torch.device, stream: torch.cuda.Stream | None = None) -> None:
        """
        Make no crop yet.

        :param stream: on which the session runs that takes the crops; None: the device has none.
        """
        self._device, self._stream = device, stream
        self.where = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type
        self._staging = self._reserve(0)
        self._sent = torch.cuda.Event() if stream is not None else None
        self._colours: dict[Colours, tuple[torch.Tensor, torch.Tensor]] = {}

    def make(self, image: np.ndarray, recipe: Recipe, colours: Colours) -> torch.Tensor:
        """Make a crop, (1, 3, size, size) float32 RGB on the device; see ``CropDevice.make``."""
        with self._on_stream(), torch.inference_mode():
            mean, scale = self._of_colours(colours)
            crop = torch.empty((1, 3, recipe.size, recipe.size), device=self._device)
            fill = np.array(recipe.fill[::-1], np.float32)
            if not (recipe.rows.weight.any() and recipe.columns.weight.any()):
                fill, = self._send(fill)
                return crop.copy_(((fill - mean) * scale)[:, None, None].expand_as(crop[0]))
            part = needed_part(image, recipe)
            pixels, rows, columns, down, across, fill = self._send(
                part.pixels, part.rows.astype(np.int32), part.columns.astype(np.int32),
                recipe.rows.weight, recipe.columns.weight, fill)
            levels = _weighed(_weighed(pixels, rows, down).transpose(0, 1), columns, across)
            if recipe.whole:
                levels.round_()
            planes = levels.permute(2, 1, 0)        # from columns, rows, channels
            if not part.reversed:
                planes = planes.flip(0)
            (x, y), (n, m) = recipe.corner, planes.shape[1:]
            if (n, m) != (recipe.size, recipe.size):
                crop.copy_(fill[:, None, None].expand_as(crop[0]))
            crop[0, :, y:y + n, x:x + m] = planes
            return crop.sub_(mean[:, None, None]).mul_(scale[:, None, None])

    def _on_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def _reserve(self, size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._stream is not None)

    def _send(self, *arrays: np.ndarray) -> list[torch.Tensor]:
        """Bring arrays to the device in one copy."""
        starts, end = [], 0
        for array in arrays:
            starts.append(end)
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        if self._sent is not None:
            self._sent.synchronize()      # what was staged last is on its way no more
        if len(self._staging) < end:
            self._staging = self._reserve(2 * end)
        staged = self._staging.numpy()
        for start, array in zip(starts, arrays):
            place = staged[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
            np.copyto(place, array)
        there = torch.empty(end, dtype=torch.uint8, device=self._device)
        there.copy_(self._staging[:end], non_blocking=True)
        if self._sent is not None:
            self._sent.record()
        kinds = [torch.from_numpy(np.empty(0, array.dtype)).dtype for array in arrays]
        return [there[start:start + array.nbytes].view(kind).view(array.shape)
                for start, array, kind in zip(starts, arrays, kinds)]

    def _of_colours(self, colours: Colours) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and scale on the device, (3,) RGB."""
        if colours not in self._colours:
            self._colours[colours] = tuple(
                torch.tensor(values[::-1], dtype=torch.float32, device=self._device)
                for values in (colours.mean, colours.scale))
        return self._colours[colours]


def _weighed(values: torch.Tensor, index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted sums (n, ...) of rows of values (length, ...); index and weight are (n, taps)."""
    taken = values.index_select(0, index.flatten()).view(*index.shape, *values.shape[1:])
    return (taken * weight[..., None, None]).sum(1)
