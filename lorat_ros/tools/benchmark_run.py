# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One run of ``lorat benchmark``: finds clip and models, measures, and gathers the report."""
from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lorat_ros.boxes import Box
from lorat_ros.models.bundle import Bundle, BundleError, read_bundle
from lorat_ros.models.catalog import find_bundle, installed
from lorat_ros.tools.benchmark_clock import clock_of
from lorat_ros.tools.benchmark_copies import measure_copies
from lorat_ros.tools.benchmark_crops import BOTH, decide
from lorat_ros.tools.benchmark_gemm import measure_products, peak_of
from lorat_ros.tools.benchmark_machine import describe_machine, load_average
from lorat_ros.tools.benchmark_report import model_ratios, model_report
from lorat_ros.tools.benchmark_roofline import Limits, Traffic, traffic_of
from lorat_ros.tools.benchmark_rounds import (Contender, first_frames, LEAST_FRAMES,
                                              measure, open_contenders, Taken)
from lorat_ros.tools.frames import first_box, FramesError, open_frames
from lorat_ros.tools.scene import cached_scene
from lorat_ros.tools.target_arguments import target_of


@dataclass(frozen=True)
class Settings:
    """What is measured."""

    models: tuple[str, ...]      # names or folders; '': the shipped default
    engines: tuple[str, ...]
    threads: int
    rounds: int
    seconds: float               # about, for all rounds of a model, or of all if together
    together: bool               # all models take turns in the same rounds, and are compared
    frames: str | None           # video or folder; None: the demo's scene
    init: str | None             # x,y,w,h
    crops: str = 'auto'          # one of BENCHMARK_CROPS


class Measured(NamedTuple):
    """What came of one model."""

    bundle: Bundle
    taken: dict[str, Taken]         # by engine
    left_out: dict[str, str]        # engine that could not be opened to the reason
    traffic: Traffic | None         # of a frame
    crops: dict[str, bool]          # engine to whether the GPU's crops won, where measured


def measure_all(settings: Settings) -> dict[str, Any]:
    """
    Measure every model, and the machine's peak before, between and after.

    :returns: what ``--json`` writes; docs/performance.md describes it.
    :raises ValueError: a model, the frames or the target cannot be had.
    """
    clip, box = clip_of(settings.frames, settings.init)
    found = [find_model(model) for model in settings.models]
    machine = describe_machine()
    products, measured = [measure_products(settings.threads)], []
    copied = [measure_copies(settings.threads)]
    for models in [found] if settings.together else [[model] for model in found]:
        with tempfile.TemporaryDirectory(prefix='lorat-') as scratch:
            bundles = [model if isinstance(model, Bundle) else untrained(model, Path(scratch))
                       for model in models]
            measured += measure_models(bundles, clip, box, settings)
        products.append(measure_products(settings.threads))
        copied.append(measure_copies(settings.threads))
    peak = peak_of(*products)
    machine['load_after'] = load_average()
    copies = max(copied)
    devices = {taken.device for one in measured for taken in one.taken.values()}
    gpu = gpu_limits() if devices - {'cpu'} else None
    reports = [{**model_report(one.bundle, one.taken, one.left_out, {
        engine: limits_of(taken, Limits(peak.gflops, copies), gpu)
        for engine, taken in one.taken.items()}, one.traffic), 'crops_decided': one.crops}
        for one in measured]
    ratios = model_ratios(reports) if settings.together else []
    return {
        'machine': machine,
        'settings': {**asdict(settings), 'image_wh': list(clip[0].shape[1::-1]),
                     'init': list(box)},
        'clock': clock_of(settings.threads, devices)[0],
        'copies_gbytes': copies, 'gpu': gpu,
        'peak': peak._asdict(),
        'products_gflops': [{library: {'x'.join(map(str, shape)): rate
                                       for shape, rate in shapes.items()}
                             for library, shapes in found.items()} for found in products],
        'models': reports, 'ratios': [asdict(ratio) for ratio in ratios]}


def clip_of(frames: str | None, init: str | None) -> tuple[list[np.ndarray], Box]:
    """
    Frames for one turn, and where the target is in the first of them.

    :raises FramesError: too few frames, or no target is known.
    """
    if frames is None:
        if init:
            raise FramesError('--init belongs to --frames PATH, which is missing')
        scene = cached_scene()
        return first_frames(open_frames(scene.images)), first_box(scene.boxes, 'the scene')
    opened = open_frames(frames)
    box = target_of(opened, init, None).init_box
    clip = first_frames(opened)
    if len(clip) < LEAST_FRAMES:
        raise FramesError(f'{frames}: {len(clip)} frames, expected at least {LEAST_FRAMES}: the '
                          'first shows the target, the next is not counted')
    return clip, box


def find_model(model: str) -> Bundle | str:
    """
    Find a bundle; or, where none is installed, the published variant of that name.

    :raises BundleError: it is neither.
    """
    names = [path.name for path in installed()]
    if not model or os.sep in model or model in names:
        return find_bundle(model)
    try:
        from lorat_ros.networks.untrained import known_variants
    except ImportError as error:
        raise BundleError(f'model {model!r} is not installed ({", ".join(names)}), and random '
                          f'weights for a published variant need {error.name}: pip install '
                          '"lorat_ros[import]"') from None
    if model not in known_variants():
        raise BundleError(f'model {model!r} is neither installed ({", ".join(names)}) nor a '
                          f'published variant ({", ".join(known_variants())})')
    return model


def untrained(variant: str, folder: Path) -> Bundle:
    """Make a bundle of a published variant with random weights in a folder."""
    from lorat_ros.networks.untrained import write_untrained
    print(f'{variant} is not installed: it is built with random weights', file=sys.stderr)
    write_untrained(variant, folder / variant)
    return read_bundle(folder / variant)


def measure_models(bundles: Sequence[Bundle], clip: Sequence[np.ndarray], box: Box,
                   settings: Settings) -> list[Measured]:
    """
    Let all engines with all of these models take turns.

    :returns: what came of each model, in their order.
    """
    contenders: dict[tuple[int, str], Contender] = {}
    left_out = []
    try:
        for number, bundle in enumerate(bundles):
            opened, reasons = open_contenders(bundle, settings.engines, settings.threads,
                                              settings.crops)
            contenders.update(((number, engine), one) for engine, one in opened.items())
            left_out.append(reasons)
        taken = measure(contenders, clip, box, settings.rounds, settings.seconds,
                        ', '.join(bundle.name for bundle in bundles)) if contenders else {}
        return [_measured(bundle, number, taken, contenders, left_out[number], settings)
                for number, bundle in enumerate(bundles)]
    finally:
        for contender in contenders.values():
            contender.close()


def _measured(bundle: Bundle, number: int, taken: Mapping[tuple[int, str], Taken],
              contenders: Mapping[tuple[int, str], Contender], left_out: dict[str, str],
              settings: Settings) -> Measured:
    """Gather what came of one model while its sessions and files are still there."""
    own = {engine: took for (of, engine), took in taken.items() if of == number}
    sessions = {engine: contenders[number, engine].session for engine in own}
    decided = decide(bundle, sessions, {engine: took.samples['total']
                                        for engine, took in own.items()}
                     ) if settings.crops == BOTH else {}
    return Measured(bundle, own, left_out, traffic_of(bundle.graphs['search']),
                    {engine: times.gpu_wins for engine, times in decided.items()})


def gpu_limits() -> dict[str, Any] | None:
    """Measure the GPU with torch; None where torch is not there or sees none."""
    try:
        from lorat_ros.networks.device_limits import gpu, measure_device
    except ImportError:
        return None
    device = gpu()
    return measure_device(device) if device else None


def limits_of(taken: Taken, cpu: Limits, gpu: Mapping[str, Any] | None) -> Limits:
    """Find what the device does at most on which something was measured."""
    if taken.device == 'cpu':
        return cpu
    return Limits(gpu['gflops'].get(taken.precision), gpu['gbytes']) if gpu else Limits(None, None)
