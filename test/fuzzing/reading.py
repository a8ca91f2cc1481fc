# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets that read files and images: each may refuse with its own error and with nothing else."""
from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from lorat_ros.images import encoded_to_bgr, ENCODINGS, ImageError, raw_to_bgr
from lorat_ros.models.bundle import BundleError, describe_file, MANIFEST, read_bundle
from lorat_ros.models.catalog import DEFAULT_MODEL, shipped_folder
from lorat_ros.tools.frames import FramesError
from lorat_ros.tools.sequences import load_clip
from lorat_ros.tools.sequences_layouts import find_sources
from lorat_ros.tracking.family import family_class

RAW = struct.Struct('<BIIIB')        # number of the encoding, height, width, step, endianness
_ENCODINGS = (*ENCODINGS, 'bayer_rggb8', '')


# -- images in messages -----------------------------------------------------------------------

def _raw_seeds(folder: Path) -> list[bytes]:
    return [RAW.pack(number, 4, 6, 6 * 8, 0) + bytes(4 * 6 * 8)
            for number in range(len(_ENCODINGS))] + [RAW.pack(0, 0, 0, 0, 0)]


def _raw(folder: Path) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        if len(data) < RAW.size:
            return
        number, height, width, step, order = RAW.unpack_from(data)
        message = SimpleNamespace(encoding=_ENCODINGS[number % len(_ENCODINGS)], height=height,
                                  width=width, step=step, is_bigendian=order,
                                  data=bytearray(data[RAW.size:]))
        with suppress(ImageError):
            image = raw_to_bgr(message)
            assert image.dtype == np.uint8 and image.shape == (height, width, 3)
            int(image.astype(np.int64).sum())      # every pixel of the view is in the message
    return read


def _encoded_seeds(folder: Path) -> list[bytes]:
    picture = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    files = [cv2.imencode(suffix, picture, options)[1].tobytes() for suffix, options in (
        ('.jpg', []), ('.jpg', [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), ('.png', []), ('.bmp', []))]
    files.append(cv2.imencode('.png', picture[..., 0])[1].tobytes())
    return [b'\x00' + file for file in files] + [b'\x01' + files[2], b'']


def _encoded(folder: Path) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        form = ('jpeg', '16UC1; compressedDepth png')[data[0] % 2] if data else ''
        with suppress(ImageError):
            image = encoded_to_bgr(SimpleNamespace(format=form, data=data[1:]))
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    return read


# -- model bundles ----------------------------------------------------------------------------

def _small_graph(folder: Path) -> bytes:
    """A graph that adds one to an image; a real one would take a second to load each time."""
    from onnx import helper, TensorProto
    value = helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3])
    out = helper.make_tensor_value_info('score', TensorProto.FLOAT, [1, 3])
    one = helper.make_tensor('one', TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph([helper.make_node('Add', ['image', 'one'], ['score'])], 'search',
                              [value], [out], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    return model.SerializeToString()


def _manifest(**changes: object) -> dict:
    manifest = json.loads((shipped_folder() / DEFAULT_MODEL / MANIFEST).read_text())
    return {**manifest, **changes}


def _manifest_seeds(folder: Path) -> list[bytes]:
    seeds = [_manifest()]
    for family, post in (('lorat', {'window': 0.45, 'smallest': 10.0}),
                         ('litetrack', {'margin': 10.0}),
                         ('fartrack', {'schedule': 'sparse', 'decoding': 'mean', 'kept': 24,
                                       'capacity': 8})):
        seeds.append(_manifest(family=family, postprocessing=post))
    return [json.dumps(seed).encode() for seed in seeds]


def _bundle(folder: Path) -> Callable[[bytes], None]:
    graph = folder / 'graph.onnx'
    graph.write_bytes(_small_graph(folder))
    entry = describe_file(graph)

    def read(data: bytes) -> None:
        # Checksums are right wherever the manifest still names graphs, or nothing behind them
        # would ever be reached.
        with suppress(ValueError):
            manifest = json.loads(data)
            if isinstance(manifest, dict) and isinstance(manifest.get('graphs'), dict):
                for known in manifest['graphs'].values():
                    if isinstance(known, dict):
                        known.update(entry)
                data = json.dumps(manifest).encode()
        (folder / MANIFEST).write_bytes(data)
        with suppress(BundleError):
            bundle = read_bundle(folder)
            family_class(bundle)(bundle)
    return read


def _graph_seeds(folder: Path) -> list[bytes]:
    return [_small_graph(folder)]


def _graph(folder: Path) -> Callable[[bytes], None]:
    from lorat_ros.engines.session import EngineError, open_session
    graph = folder / 'search.onnx'

    def read(data: bytes) -> None:
        graph.write_bytes(data)
        manifest = _manifest(graphs={'search': describe_file(graph)})
        (folder / MANIFEST).write_text(json.dumps(manifest))
        with suppress(EngineError):
            session = open_session(read_bundle(folder), 'onnx')
            session.run('search', {'image': np.zeros((1, 3), np.float32)})
    return read


# -- checkpoints ------------------------------------------------------------------------------

class _Trap:
    """A pickle that would write a file if anybody executed it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self._path, 'executed')


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    import torch
    from safetensors.torch import save
    tensors = {'a.weight': torch.arange(6.0).reshape(2, 3), 'b': torch.ones(2).half()}
    seeds = [save(tensors)]
    for content in (tensors, {'net': tensors, 'epoch': 3}):
        for modern in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=modern)
            seeds.append(file.getvalue())
    seeds.append(pickle.dumps({'net': _Trap(folder / 'trap')}))
    return seeds


def _checkpoint(folder: Path) -> Callable[[bytes], None]:
    from lorat_ros.networks.checkpoints import CheckpointError, read_checkpoint
    path = folder / 'checkpoint.pth'

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(CheckpointError):
            for tensor in read_checkpoint(path).tensors.values():
                tensor.float().sum()
        assert not (folder / 'trap').exists(), 'a pickle was executed'
    return read


# -- sequences and recipes --------------------------------------------------------------------

def _sequence_seeds(folder: Path) -> list[bytes]:
    truth = b'1,2,8,6\n2,2,8,6\n3 2 8 6\n'
    return [b'\x00' + truth + b'\x1f', b'\x01' + truth + b'\x1f0\n8\n1', b'\x02' + truth
            + b'\x1f0,1,0', b'\x03nan,nan,nan,nan\n' + truth, b'']


def _sequence(folder: Path) -> Callable[[bytes], None]:
    place = folder / 'sequences' / 'one'
    picture = np.full((24, 32, 3), 90, np.uint8)
    images = [f'{number:04d}.png' for number in (1, 2, 3)]
    kinds: Sequence[tuple[str, str, str]] = (      # folder of images, truth, labels
        ('img', 'groundtruth_rect.txt', 'unused.txt'), ('', 'groundtruth.txt', 'cover.label'),
        ('img', 'groundtruth.txt', 'full_occlusion.txt'), ('color', 'groundtruth.txt', 'x.txt'))

    def read(data: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        where, truth, labels = kinds[data[0] % len(kinds)] if data else kinds[0]
        (place / where).mkdir(parents=True, exist_ok=True)
        for name in images:
            cv2.imwrite(str(place / where / name), picture)
        boxes, _, rest = data[1:].partition(b'\x1f')
        (place / truth).write_bytes(boxes)
        (place / labels).write_bytes(rest)
        with suppress(FramesError):
            for source in find_sources(place.parent)[1]:
                clip = load_clip(source)
                assert len(clip.truth) == len(clip) and clip.init_box
    return read


def _recipe_seeds(folder: Path) -> list[bytes]:
    from lorat_ros.training.recipe import FOLDER
    return [path.read_bytes() for path in sorted(FOLDER.glob('*.yaml'))]


def _recipe(folder: Path) -> Callable[[bytes], None]:
    from lorat_ros.training.recipe import read_recipe, RecipeError
    path = folder / 'recipe.yaml'

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(RecipeError):
            read_recipe(str(path)).as_dict()
    return read


TARGETS = {'raw image': (_raw_seeds, _raw), 'encoded image': (_encoded_seeds, _encoded),
           'model.json': (_manifest_seeds, _bundle), 'ONNX graph': (_graph_seeds, _graph),
           'checkpoint': (_checkpoint_seeds, _checkpoint),
           'sequence': (_sequence_seeds, _sequence), 'recipe': (_recipe_seeds, _recipe)}
