# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How some operations of torch are spelled in ONNX.

torch's own spelling of GELU, attention and convolution leaves casts and scalar arithmetic in the
graph which ONNX Runtime and TensorRT do not recognise as what they can fuse.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op


def gelu(x: Any, approximate: str = 'none') -> Any:
    """Exact GELU, in the order of factors that engines know: x (1 + erf(x / sqrt 2)) / 2."""
    if approximate != 'none':
        raise NotImplementedError(f'GELU approximated by {approximate!r}: only the exact one')
    erf = op.Erf(op.Div(x, op.Constant(value_float=math.sqrt(2))))
    return op.Mul(op.Mul(x, op.Add(erf, op.Constant(value_float=1.0))),
                  op.Constant(value_float=0.5))


def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
              is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False
              ) -> Any:
    """softmax(q k^T scale) v, the scale on the queries: fewer elements than on the products."""
    if attn_mask is not None or is_causal or dropout_p or enable_gqa:
        raise NotImplementedError('attention with a mask, dropout or grouped queries')
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scaled = op.Mul(query, op.Constant(value_float=scale))
    products = op.MatMul(scaled, op.Transpose(key, perm=[0, 1, 3, 2]))
    return op.MatMul(op.Softmax(products, axis=-1), value)


def convolution(x: Any, weight: Any, bias: Any = None, stride: Sequence[int] = (1, 1),
                padding: Sequence[int] = (0, 0), dilation: Sequence[int] = (1, 1),
                groups: int = 1) -> Any:
    """2D convolution; one without bias stays so.

    torch gives it a bias of zeros that is computed from the input's type: no constant, so that
    neither the batch norm nor the ReLU behind it becomes part of the convolution.
    """
    given = (x, weight) if bias is None else (x, weight, bias)
    return op.Conv(*given, strides=list(stride), pads=[*padding, *padding],
                   dilations=list(dilation), group=groups)


def spelling() -> dict[Any, Callable[..., Any]]:
    """Return the table for torch.onnx.export's custom_translation_table."""
    return {torch.ops.aten.gelu.default: gelu,
            torch.ops.aten.conv2d.default: convolution,
            torch.ops.aten.scaled_dot_product_attention.default: attention}
