# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of ``lorat benchmark``: as data for JSON, and as text for people."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lorat_ros.models.bundle import Bundle
from lorat_ros.tools.benchmark_figures import (compare, HEADINGS, Ratio, row_of, say_ratio,
                                               summarise, table)
from lorat_ros.tools.benchmark_machine import busy
from lorat_ros.tools.benchmark_roofline import bound_of, Limits, Traffic
from lorat_ros.tools.benchmark_rounds import Taken

REFERENCE = 'torch'      # what the others are compared with, if it takes part; else the first


def model_report(bundle: Bundle, taken: Mapping[str, Taken], left_out: Mapping[str, str],
                 limits: Mapping[str, Limits], traffic: Traffic | None = None
                 ) -> dict[str, Any]:
    """
    Describe what was measured of one model; see ``benchmark_run.measure_all``.

    :param taken: engine to what it took.
    :param left_out: engine that could not be opened to the reason.
    :param limits: engine to what its device does at most.
    :param traffic: what a frame moves; None: not known.
    """
    manifest = bundle.manifest
    first = next(iter(taken), '')
    reference = REFERENCE if REFERENCE in taken else first
    rounds, frames = taken[first].samples['work'].shape if taken else (0, 0)
    macs = manifest.get('macs')
    figures = {engine: {**summarise(found.samples, macs, limits[engine].gflops, bound_of(
                            macs, traffic, found.precision, limits[engine])),
                        'device': found.device, 'precision': found.precision,
                        'apart_px': float(np.abs(found.boxes - taken[first].boxes).max())}
               for engine, found in taken.items()}
    ratios = compare({engine: found['rounds_ms']['work'] for engine, found in figures.items()},
                     reference) if reference else []
    return {
        'name': bundle.name, 'family': bundle.family, 'variant': bundle.variant,
        'weights': manifest.get('provenance', {}).get('weights', 'of the bundle'),
        'parameters': manifest.get('parameters'), 'macs': macs,
        'moved': traffic._asdict() if traffic else None,
        'rounds': rounds, 'frames': frames, 'engines': figures,
        'ratios': [asdict(ratio) for ratio in ratios], 'left_out': dict(left_out)}


def model_ratios(models: Sequence[Mapping[str, Any]]) -> list[Ratio]:
    """Compare the models with the first of them, engine by engine; all took turns together."""
    ratios = []
    for engine in models[0]['engines']:
        took = {f'{model["name"]} ({engine})': model['engines'][engine]['rounds_ms']['work']
                for model in models if engine in model['engines']}
        ratios += compare(took, f'{models[0]["name"]} ({engine})')
    return ratios


def text_of(report: Mapping[str, Any]) -> str:
    """Write a report for a terminal."""
    machine, peak, settings = report['machine'], report['peak'], report['settings']
    threads = f'{settings["threads"]} thread' + 's' * (settings['threads'] > 1)
    versions = ', '.join(f'{name} {version}' for name, version in machine['versions'].items()
                         if version)
    lines = [f'{machine["cpu"]}, {machine["cores"]} cores; {threads}', versions,
             f'peak: {peak["gflops"]:.0f} GFLOP/s ({peak["library"]}, matrices of '
             f'{"x".join(map(str, peak["shape"]))})',
             f'copies: {report["copies_gbytes"]:.0f} GB/s; ' + _gpu_line(report['gpu']),
             f'ms, p50 / p95 by the wall clock; work: the network, p50 by the {report["clock"]} '
             'clock, of\nwhich GFLOP/s, share of the peak and ratios are made']
    if busy(machine['load'], machine['cores']):
        lines.append(f'others were working here when it began (load '
                     f'{machine["load"]:.1f}): trust the ratios, not the wall clock')
    for model in report['models']:
        lines += ['', *_model_lines(model)]
    if report['ratios']:
        lines += ['', *(say_ratio(Ratio(**ratio)) for ratio in report['ratios'])]
    return '\n'.join(lines)


def _gpu_line(gpu: Mapping[str, Any] | None) -> str:
    if gpu is None:
        return 'no GPU took part'
    rates = ', '.join(f'{precision} {rate / 1e3:.1f}' for precision, rate in gpu['gflops'].items())
    return f'{gpu["name"]}: {rates} TFLOP/s, copies {gpu["gbytes"]:.0f} GB/s'


def _model_lines(model: Mapping[str, Any]) -> list[str]:
    size = [f'{model["macs"] / 1e9:.2f} GMACs a frame'] if model['macs'] else []
    weights = ['random weights'] if model['weights'].startswith('random') else []
    lines = [f'{model["name"]}: ' + ', '.join(
        [*size, *weights, f'{model["rounds"]} rounds of {model["frames"]} frames'])]
    if model['engines']:
        lines.append(table([HEADINGS, *(row_of(engine, figures)
                                        for engine, figures in model['engines'].items())]))
    lines += [say_ratio(Ratio(**ratio)) for ratio in model['ratios']]
    lines += [f'{engine} left out: {reason}' for engine, reason in model['left_out'].items()]
    lines += [f'{engine}: with crops auto, the {"gpu" if wins else "cpu"} cuts them from now on'
              for engine, wins in model.get('crops_decided', {}).items()]
    if len(model['engines']) > 1:
        apart = max(figures['apart_px'] for figures in model['engines'].values())
        lines.append(f'their boxes are at most {apart:.2g} pixels apart')
    return lines
