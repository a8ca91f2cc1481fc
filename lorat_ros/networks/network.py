# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the network side of a family offers to the torch engine, to export and to import."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import torch


class Network(Protocol):
    """
    A ``torch.nn.Module`` that runs in stages.

    A stage is a method of the name of its role ('search', 'template'), taking and returning
    tensors in the order of ``example_inputs`` and ``outputs``. Each becomes one ONNX graph.
    """

    #: Role to the names of what the stage of that name returns, in order.
    outputs: ClassVar[Mapping[str, tuple[str, ...]]]
    #: Role to those outputs that only another stage reads; engines keep them to themselves.
    hands_over: ClassVar[Mapping[str, tuple[str, ...]]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Network:
        """Build it as ``network`` in ``model.json`` describes it, its weights still to come."""

    def settings(self) -> dict[str, Any]:
        """Describe it for ``model.json``; the counterpart of ``from_settings``."""

    def example_inputs(self) -> dict[str, dict[str, torch.Tensor]]:
        """Role to the stage's inputs by name, of the shapes it will be run with."""

    # What is used of it as a ``torch.nn.Module``, by the same names there.

    def eval(self) -> Network: ...
    def to(self, device: torch.device, /) -> Network: ...
    def parameters(self) -> Iterator[torch.nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]: ...
    def state_dict(self) -> Mapping[str, torch.Tensor]: ...


class Variant(NamedTuple):
    """What is known of a published variant without its files."""

    settings: Mapping[str, Any]      # what ``from_settings`` takes
    about: Mapping[str, Any]         # of model.json: variant, sizes, score, licence, …


class Importable(Network, Protocol):
    """A network that is made from files which its authors published."""

    @classmethod
    def variants(cls) -> Mapping[str, Variant]:
        """Every variant by its name, such as 'lorat-b-224'."""

    @classmethod
    def recognise(cls, tensors: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
        """
        Tell which variants a checkpoint may be: several where the file does not say.

        :param tensors: the checkpoint's tensors by name.
        :returns: names such as 'lorat-b-224'; empty: the file is not of this family.
        :raises lorat_ros.networks.checkpoints.CheckpointError: of this family, yet tensors are
            missing, unexpected or of a wrong shape.
        """

    @classmethod
    def base_files(cls, variant: str) -> tuple[str, str] | None:
        """Name and address of the file a checkpoint of a variant builds upon; None: of none."""

    @classmethod
    def assemble(cls, variant: str, tensors: Mapping[str, torch.Tensor],
                 base: Path | None) -> tuple[Network, dict[str, Any]]:
        """
        Make the network of a variant.

        :param base: file that the checkpoint builds upon, where it is not complete in itself.
        :returns: the network with its weights, and what ``model.json`` says of the variant:
            sizes, postprocessing, score, licence, published, and of the base in provenance.
        :raises lorat_ros.networks.checkpoints.BaseNeeded: there is no base, and it takes one.
        :raises lorat_ros.networks.checkpoints.CheckpointError: the files do not fit together, or
            there is a base, and it takes none.
        """
