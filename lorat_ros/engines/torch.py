# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
PyTorch: the network as it is defined, with the weights of the bundle's graphs.

On a CPU it is the reference, slower than the other engines and there to prove them. On a GPU it
runs in CUDA graphs (``torch_cuda``), for where there is no TensorRT.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from lorat_ros.engines.plan_cache import processor
from lorat_ros.engines.session import EngineError, Handle, Value
from lorat_ros.engines.torch_cuda import GraphedSession, GraphedStage, Lane
from lorat_ros.engines.torch_memory import open_memory
from lorat_ros.engines.torch_precision import arithmetic, check_precision, lower, widened
from lorat_ros.models.bundle import Bundle
from lorat_ros.models.families import FAMILIES, load
from lorat_ros.networks.network import Network

_CPU = torch.device('cpu')


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
    """Runs a network stage by stage on the CPU."""

    engine = 'torch'
    device = 'cpu'

    def __init__(self, network: Network, threads: int, precision: str = 'fp32') -> None:
        """
        Take over a network.

        :param precision: of its products, see ``torch_precision``; below float32 their weights
            are changed for good.
        """
        torch.set_num_threads(threads)
        self.precision = precision
        self._network = network.eval()
        lower(self._network, precision)

    def run(self, role: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Run the stage of a role; see ``Session.run``."""
        outputs = self._network.outputs
        if role not in outputs:
            raise EngineError(f'this model has no graph {role!r}, only {sorted(outputs)}')
        tensors = {name: value.value if isinstance(value, Handle) else torch.from_numpy(value)
                   for name, value in inputs.items()}
        with torch.inference_mode(), arithmetic(self.precision, _CPU):
            values = getattr(self._network, role)(**tensors)
        kept = self._network.hands_over.get(role, ())
        return {name: Handle(value) if name in kept else widened(value).numpy()
                for name, value in zip(outputs[role], values)}

    def close(self) -> None:
        """Give back memory."""
        del self._network


def graphed_session(network: Network, precision: str, lane: Lane) -> GraphedSession:
    """
    Run a network on the device of a lane, a CUDA graph for each stage.

    :param precision: of its products, see ``torch_precision``.
    :raises EngineError: this GPU has no such arithmetic.
    """
    device = lane.crop_device
    check_precision(precision, device)
    network = network.eval().to(device)
    lower(network, precision)

    def caller(role: str) -> Callable[..., tuple[torch.Tensor, ...]]:
        def call(**tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Without TF32, which torch lets convolutions have: float32 is float32 here.
            with arithmetic(precision, device), torch.backends.cudnn.flags(allow_tf32=False):
                values = getattr(network, role)(**tensors)
            kept = network.hands_over.get(role, ())
            return tuple(value if name in kept else widened(value)
                         for name, value in zip(network.outputs[role], values))
        return call
    return GraphedSession({role: GraphedStage(role, caller(role), outputs,
                                              network.hands_over.get(role, ()), lane)
                           for role, outputs in network.outputs.items()}, precision, lane)


def version() -> str:
    """All that the answers in low precision hang on besides the graphs."""
    if not torch.cuda.is_available():
        return f'torch {torch.__version__} {processor()}'
    major, minor = torch.cuda.get_device_capability()
    return f'torch {torch.__version__} {torch.cuda.get_device_name()} {major}.{minor}'


def open_session(bundle: Bundle, threads: int, precision: str = 'fp32',
                 built: Path | None = None) -> TorchSession | GraphedSession:
    """
    Open a bundle, on the GPU if torch can use one.

    See ``lorat_ros.engines.session.open_session``.
    """
    network = build_network(bundle)
    if torch.cuda.is_available():
        return graphed_session(network, precision, open_memory())
    return TorchSession(network, threads, precision)
