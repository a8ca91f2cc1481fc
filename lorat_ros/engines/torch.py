# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
PyTorch as the reference: the network as it is defined, with the weights of the bundle's graphs.

Slower than the other engines and the only one that imports torch; it exists to prove them.
"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from lorat_ros.engines.session import EngineError, Handle, Value
from lorat_ros.models.bundle import Bundle
from lorat_ros.networks.kestrel import Kestrel, KestrelConfig, STAGE_OUTPUTS


def weights_of(bundle: Bundle) -> dict[str, torch.Tensor]:
    """Initialisers of all graphs of a bundle by name, as float32."""
    weights = {}
    for path in bundle.graphs.values():
        for initialiser in onnx.load(path).graph.initializer:
            weights[initialiser.name] = torch.from_numpy(
                numpy_helper.to_array(initialiser).astype(np.float32))
    return weights


def build_kestrel(bundle: Bundle) -> Kestrel:
    """Kestrel with a bundle's weights, for inference."""
    network = Kestrel(KestrelConfig(**bundle.manifest['network']))
    found = weights_of(bundle)
    wanted = network.state_dict()
    # Batch norm counts its training batches; inference does not, so the graphs lack it.
    missing = [name for name in wanted
               if name not in found and not name.endswith('num_batches_tracked')]
    if missing:
        raise EngineError(f'{bundle.path}: its graphs lack the weights {", ".join(missing[:5])}: '
                          'export or import the bundle anew')
    network.load_state_dict({**wanted, **{n: found[n] for n in wanted if n in found}})
    return network.eval()


# Family to the function that builds its network.
BUILDERS = {'kestrel': build_kestrel}

# Role to the outputs of the network's method of that name, in order.
OUTPUTS = {'kestrel': STAGE_OUTPUTS}


class TorchSession:
    """Runs a bundle's network stage by stage in float32 on the CPU."""

    engine = 'torch'
    device = 'cpu'

    def __init__(self, bundle: Bundle, threads: int) -> None:
        torch.set_num_threads(threads)
        self._network = BUILDERS[bundle.family](bundle)
        self._outputs = OUTPUTS[bundle.family]
        self._kept = {role: bundle.handed_over(role) for role in bundle.graphs}

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the stage of a role; see ``Session.run``."""
        if role not in self._outputs:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(self._outputs)}')
        tensors = {name: value.value if isinstance(value, Handle) else torch.from_numpy(value)
                   for name, value in inputs.items()}
        with torch.inference_mode():
            values = getattr(self._network, role)(**tensors)
        return {name: Handle(value) if name in self._kept[role] else value.numpy()
                for name, value in zip(self._outputs[role], values)}

    def close(self) -> None:
        """Give back memory."""
        del self._network


def open_session(bundle: Bundle, threads: int) -> TorchSession:
    """Open a bundle; see ``lorat_ros.engines.session.open_session``."""
    if bundle.family not in BUILDERS:
        raise EngineError(f'the torch engine does not know the family {bundle.family!r}, only '
                          f'{", ".join(BUILDERS)}: use another engine')
    return TorchSession(bundle, threads)
