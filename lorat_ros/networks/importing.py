# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From a checkpoint that a tracker's authors published to a verified bundle.

The road is the same for every family: read, recognise, assemble, export, verify. What differs
between families is behind the protocol ``lorat_ros.networks.network.Importable``.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lorat_ros.boxes import Box
from lorat_ros.engines.gate import ParitySession
from lorat_ros.engines.session import open_session
from lorat_ros.engines.torch import TorchSession
from lorat_ros.models.bundle import (Bundle, BundleError, describe_file, MANIFEST, read_bundle,
                                     read_manifest)
from lorat_ros.models.catalog import published_of
from lorat_ros.models.families import FAMILIES, load
from lorat_ros.networks.checkpoints import (BaseNeeded, Checkpoint, CheckpointError, listed,
                                            read_checkpoint)
from lorat_ros.networks.export import EXTERNAL_FROM, export_bundle
from lorat_ros.networks.network import Importable, Network
from lorat_ros.tracking.tracker import Tracker

#: How far ONNX Runtime may be from torch, absolute, by the name of an output; see docs/import.md.
TOLERANCE = {'boxes': 1e-4, 'size': 1e-4}      # of the search region: 0.04 pixels of the largest
OTHER_TOLERANCE = 1e-3           # logits: 0.00025 of a probability
STAGES = ('reading', 'merging', 'exporting', 'verifying')

# What a file that is no tracker's may be: tensors that only such a file has, and the cure.
_STRANGERS = (
    ({'register_tokens', 'patch_embed.proj.weight'},
     'this is a DINOv2 base with registers, and LoRAT builds upon one without: take '
     '…14_pretrain.pth, not …14_reg4_pretrain.pth, and give it with --base'),
    ({'mask_token', 'cls_token', 'blocks.0.ls1.gamma'},
     "this is a DINOv2 base: give it with --base, and LoRAT's own file as CHECKPOINT"),
)


def importable() -> dict[str, type[Importable]]:
    """Families that checkpoints can be imported of, by name."""
    classes = {family: load(entry.network) for family, entry in FAMILIES.items()}
    return {family: network for family, network in classes.items()
            if hasattr(network, 'recognise')}


def recognise(checkpoint: Checkpoint) -> tuple[str, tuple[str, ...]]:
    """
    Tell the family of a checkpoint and the variants it may be, by its tensors.

    :raises CheckpointError: of no family, or of one but not whole; names of tensors that tell
        are listed.
    """
    tensors = checkpoint.tensors
    for telling, cure in _STRANGERS:
        if telling <= tensors.keys():
            raise CheckpointError(f'{checkpoint.path}: {cure} (it has {listed(telling)})')
    families, faults = importable(), []
    for family, network in families.items():
        try:
            if found := network.recognise(tensors):
                return family, tuple(found)
        except CheckpointError as error:
            faults.append(f'{checkpoint.path}: {error}')
    raise CheckpointError('; '.join(faults) or (
        f'{checkpoint.path} is of none of the families {", ".join(families)}: none of them has '
        f'such tensors as {listed(tensors)}'))


def choose(checkpoint: Checkpoint, wanted: str | None) -> tuple[str, str]:
    """
    Choose the variant of a checkpoint.

    :param wanted: what the user says, such as 'lorat-b-224'; None: nothing.
    :returns: family and variant.
    :raises CheckpointError: the file is of no family or of another variant, or may be of several
        and the user does not say which; the candidates are listed.
    """
    family, candidates = recognise(checkpoint)
    known = tuple(name for network in importable().values() for name in network.variants())
    if wanted is None and len(candidates) > 1:
        raise CheckpointError(f'{checkpoint.path} may be {" or ".join(candidates)}, which its '
                              'tensors do not tell: say which with --variant')
    if wanted is None:
        return family, candidates[0]
    variant = wanted.lower()
    if variant not in known:
        raise CheckpointError(f'--variant {wanted} is unknown: this file is '
                              f'{" or ".join(candidates)}; known are {", ".join(known)}')
    if variant not in candidates:
        raise CheckpointError(f'{checkpoint.path} is {" or ".join(candidates)} by its tensors ('
                              f'{listed(checkpoint.tensors)}), not {variant}')
    return family, variant


def find_base(checkpoint: Path, name: str) -> tuple[Path | None, list[Path]]:
    """
    Look for the file that a checkpoint builds upon: beside it, then in torch's own cache.

    :returns: the file, or None; and the folders that were looked in.
    """
    folders = [checkpoint.absolute().parent, Path(torch.hub.get_dir()) / 'checkpoints']
    found = (folder / name for folder in folders if (folder / name).is_file())
    return next(found, None), folders


def assemble(checkpoint: Checkpoint, network: type[Importable], variant: str, base: Path | None
             ) -> tuple[Network, dict[str, Any], Path | None]:
    """
    Make the network of a checkpoint, with a base if it takes one.

    :param base: given by the user; None: it is looked for.
    :returns: network, what ``model.json`` says of it, and the base that was used.
    :raises CheckpointError: there is no base, or it does not fit.
    """
    def put_together(below: Path | None) -> tuple[Network, dict[str, Any], Path | None]:
        return *network.assemble(variant, checkpoint.tensors, below), below

    try:
        try:
            return put_together(base)
        except BaseNeeded as error:
            files = network.base_files(variant)
            base, folders = find_base(checkpoint.path, files[0]) if files else (None, [])
            if base is None:
                raise CheckpointError(f'{error} (looked in {", ".join(map(str, folders))})'
                                      ) from None
            return put_together(base)
    except CheckpointError as error:
        also = f' with the base {base}' if base else ''
        raise CheckpointError(f'{checkpoint.path}{also}: {error}') from None


@dataclass
class Verification:
    """How far ONNX Runtime and torch were apart on a clip."""

    differences: Mapping[str, float]      # '<role>.<output>' to the largest absolute difference
    scores: Sequence[float]               # in each

    def check(self) -> None:
        """
        Compare with the tolerances.

        :raises CheckpointError: too far apart, or not a number; all that is wrong is listed.
        """
        # Not `difference > allowed`: what is not a number must not pass.
        wrong = [f'{place} by {found:.2g} (at most {tolerance_of(place):g})'
                 for place, found in self.differences.items() if not found <= tolerance_of(place)]
        if wrong or not self.differences or not np.isfinite(self.scores).all():
            raise CheckpointError(
                'ONNX Runtime and torch do not agree on this model: '
                f'{"; ".join(wrong) or f"scores {self.scores}"}. Nothing was written; are the '
                'weights finite and whole, and onnxruntime and torch current?')


def tolerance_of(place: str) -> float:
    """Largest difference allowed in '<role>.<output>'."""
    return TOLERANCE.get(place.partition('.')[2], OTHER_TOLERANCE)


class Clip(NamedTuple):
    """Real frames to verify with."""

    images: Sequence[np.ndarray]      # (height, width, 3) uint8 BGR, at least two
    box: Box                          # the target in the first one, xywh in pixels


def verify(bundle: Bundle, network: Network, clip: Clip) -> Verification:
    """Track through real frames with ONNX Runtime, and show torch the same crops."""
    session = ParitySession(open_session(bundle, 'onnx'), TorchSession(network, 1))
    tracker, scores = Tracker(bundle, session), []
    tracker.init(clip.images[0], clip.box)
    for image in clip.images[1:]:
        scores.append(tracker.update(image).score)
    tracker.close()
    return Verification(session.differences, scores)


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    bundle: Bundle
    base: Path | None
    verification: Verification


def import_checkpoint(path: Path, folder: Callable[[str], Path], clip: Callable[[], Clip],
                      variant: str | None = None, base: Path | None = None,
                      more: Mapping[str, Any] | None = None,
                      progress: Callable[[str], None] = lambda stage: None,
                      external_from: int = EXTERNAL_FROM) -> Imported:
    """
    Make a bundle of a published checkpoint and verify it; if anything fails, nothing is left.

    :param path: of the checkpoint.
    :param folder: of the bundle to write, by the variant's name; its own name names the model.
    :param clip: gives what to verify with; it is asked when the network is there.
    :param variant: where the file alone does not tell, such as 'lorat-b-224'.
    :param base: file that the checkpoint builds upon; None: looked for.
    :param more: fields of ``model.json`` that go before what is known of the family.
    :param progress: is told the stage that begins, of STAGES.
    :param external_from: bytes of weights from which they get a file of their own.
    :raises CheckpointError: the files cannot be used, or the engines do not agree.
    :raises BundleError: there is something else where the bundle should go.
    """
    progress('reading')
    checkpoint = read_checkpoint(path)
    family, variant = choose(checkpoint, variant)
    target = folder(variant)
    origin = _file_of(checkpoint.path)
    check_target(target, origin['sha256'], variant)
    progress('merging')
    network, about, used = assemble(checkpoint, importable()[family], variant, base)
    about = {'name': target.name, 'family': family, **about, **(more or {})}
    known = published_of(family, about['variant'])
    if known and known.scores:
        about.setdefault('published', dict(known.scores))
    about['provenance'] = {**about.get('provenance', {}), 'checkpoint': {
        **origin, 'container': checkpoint.container, 'entry': checkpoint.entry},
        **({'base': _file_of(used)} if used else {}), 'torch': torch.__version__}
    frames, results = clip(), []

    def check(part: Path) -> None:
        progress('verifying')
        results.append(verify(read_bundle(part), network, frames))
        results[0].check()

    progress('exporting')
    export_bundle(network, target, about, check, external_from=external_from)
    return Imported(read_bundle(target), used, results[0])


def _file_of(path: Path) -> dict[str, Any]:
    return describe_file(path.resolve())


def check_target(folder: Path, sha256: str, variant: str) -> None:
    """
    Check that a bundle may be written to a folder: it is new, empty, or this import's own.

    :param sha256: of the checkpoint.
    :param variant: that is made of it, such as 'fartrack-pico'.
    :raises BundleError: it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise BundleError(f'{folder} is no folder: give another name')
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise BundleError(f'{folder} is there and is no bundle: nothing in it is touched; give '
                          'another folder with --output, or another --name')
    there = read_manifest(folder)
    same = there.get('provenance', {}).get('checkpoint', {}).get('sha256') == sha256
    # '-own': of the same variant, in other sizes than the published ones.
    if not same or f'{there["family"]}-{there["variant"]}'.removesuffix('-own') != variant:
        what = f'as {there["family"]}-{there["variant"]}' if same else 'but not of this checkpoint'
        raise BundleError(f'{folder} is a bundle already, {what}: give this one another name with '
                          '--name, or remove the folder first')
