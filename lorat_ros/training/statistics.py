# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What batch norms remember of a step that is computed in parts."""
from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class StepStatistics:
    """
    Lets every part of a step begin with the same running statistics, and averages what they end
    with, over parts and processes: so the cut changes nothing here either.

    Part for part, ``begin`` before it and ``end`` after it; ``combine`` after the last.
    """

    def __init__(self, network: nn.Module, parts: int, world: int) -> None:
        """
        :param parts: of a step in this process.
        :param world: processes.
        """
        self.norms = [m for m in network.modules()
                      if isinstance(m, _BatchNorm) and m.running_mean is not None]
        self.parts, self.world = parts, world
        self._before: list[torch.Tensor] = []
        self._sums: list[torch.Tensor] = []
        self._counted: list[torch.Tensor] = []

    def _buffers(self) -> list[torch.Tensor]:
        """Of the norms that learn now; one that is frozen stays as it is, to the last bit."""
        return [b for m in self.norms if m.training for b in (m.running_mean, m.running_var)]

    def _counters(self) -> list[torch.Tensor]:
        return [m.num_batches_tracked for m in self.norms if m.training]

    def begin(self) -> None:
        """Before a part: what was there before the step."""
        buffers = self._buffers()
        if not self._sums:
            self._before = [b.clone() for b in buffers]
            self._sums = [torch.zeros_like(b) for b in buffers]
            self._counted = [c.clone() for c in self._counters()]
        for buffer, before in zip(buffers, self._before):
            buffer.copy_(before)

    def end(self) -> None:
        """After a part."""
        for total, buffer in zip(self._sums, self._buffers()):
            total.add_(buffer)

    def combine(self) -> None:
        """After the last part."""
        if self._sums:
            flat = torch.cat([total.flatten() for total in self._sums])
            if self.world > 1:
                distributed.all_reduce(flat)
            flat /= self.parts * self.world
            sizes = [total.numel() for total in self._sums]
            for buffer, value in zip(self._buffers(), flat.split(sizes)):
                buffer.copy_(value.view_as(buffer))
            for counter, before in zip(self._counters(), self._counted):
                counter.copy_(before + (counter - before) // self.parts)
        self._before, self._sums, self._counted = [], [], []
