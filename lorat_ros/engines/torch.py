# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
PyTorch as the reference: the network as it is defined, with the weights of the bundle's graphs.

Slower than the other engines and the only one that imports torch; it exists to prove them.
"""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from lorat_ros.engines.session import EngineError, Handle, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.families import FAMILIES, load
from lorat_ros.networks.network import Network


def weights_of(bundle: Bundle) -> dict[str, torch.Tensor]:
    """Initialisers of all graphs of a bundle by name; half precision becomes float32."""
    weights = {}
    for path in bundle.graphs.values():
        for initialiser in onnx.load(path).graph.initializer:
            values = numpy_helper.to_array(initialiser)
            if values.dtype == np.float16:
                values = values.astype(np.float32)
            weights[initialiser.name] = torch.tensor(values)
    return weights


def build_network(bundle: Bundle) -> Network:
    """
    Build the network of a bundle's family with the bundle's weights, for inference.

    :raises EngineError: the family is unknown, or the graphs lack weights.
    """
    if bundle.family not in FAMILIES:
        raise EngineError(f'the torch engine does not know the family {bundle.family!r}, only '
                          f'{", ".join(FAMILIES)}: use another engine')
    with torch.device('meta'):
        network = load(FAMILIES[bundle.family].network).from_settings(bundle.manifest['network'])
    found = weights_of(bundle)
    wanted = network.state_dict()
    # Batch norm counts its training batches; inference does not, so the graphs lack it.
    found.update((name, torch.tensor(0)) for name in wanted
                 if name.endswith('num_batches_tracked'))
    missing = [name for name in wanted if name not in found]
    if missing:
        raise EngineError(f'{bundle.path}: its graphs lack the weights {", ".join(missing[:5])}: '
                          'export or import the bundle anew')
    network.load_state_dict({name: found[name] for name in wanted}, assign=True)
    return network.eval()


class TorchSession:
    """Runs a network stage by stage in float32 on the CPU."""

    engine = 'torch'
    device = 'cpu'
    precision = 'fp32'

    def __init__(self, network: Network, threads: int) -> None:
        torch.set_num_threads(threads)
        self._network = network.eval()

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the stage of a role; see ``Session.run``."""
        outputs = self._network.outputs
        if role not in outputs:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(outputs)}')
        tensors = {name: value.value if isinstance(value, Handle) else torch.from_numpy(value)
                   for name, value in inputs.items()}
        with torch.inference_mode():
            values = getattr(self._network, role)(**tensors)
        kept = self._network.hands_over.get(role, ())
        return {name: Handle(value) if name in kept else value.numpy()
                for name, value in zip(outputs[role], values)}

    def close(self) -> None:
        """Give back memory."""
        del self._network


def open_session(bundle: Bundle, threads: int, precision: str = 'fp32',
                 built: Path | None = None) -> TorchSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    return TorchSession(build_network(bundle), threads)
