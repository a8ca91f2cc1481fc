# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What leaving tokens out is worth: FARTrack's search graph with 397 tokens and with all 445.

``python -m support.fartrack_tokens [VARIANT…]`` (in ``test/``) runs both graphs in turn with ONNX
Runtime on one thread, with the same generated weights, and prints how many times as fast the
shorter one is, with the confidence interval of ``lorat benchmark``. Nothing else differs: both
embed one template and the search region.
"""
from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from support.fartrack_runs import generated
from tqdm import tqdm

from lorat_ros.engines.session import open_session
from lorat_ros.models.bundle import read_bundle
from lorat_ros.networks.export import export_bundle
from lorat_ros.networks.fartrack import FarTrack
from lorat_ros.networks.fartrack_variants import describe, VARIANTS
from lorat_ros.tools.benchmark_figures import compare, percentiles, say_ratio, take_turns

REPEATS = 5      # runs of a turn, of which the median counts


def runner(network: FarTrack, kept: int, folder: Path) -> Callable[[], object]:
    """Export a network that keeps so many tokens of a template; returns what runs it once."""
    network.kept = kept
    about = {**describe('fartrack-pico'), 'name': folder.name, 'family': 'fartrack'}
    export_bundle(network, folder, about, check=lambda part: None)
    session = open_session(read_bundle(folder), 'onnx')
    inputs = {name: value.numpy() for name, value in network.example_inputs()['search'].items()}
    assert inputs['memory'].shape[2] == kept
    return lambda: session.run('search', inputs)


def measure(runners: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each runner, a median for each round; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        run()
    for number in tqdm(range(rounds), unit='round', leave=False):
        for name in take_turns(list(runners), number):
            times = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                runners[name]()
                times.append(1e3 * (time.perf_counter() - start))
            took[name].append(float(np.median(times)))
    return took


def main(arguments: Iterable[str] | None = None) -> None:
    """Command line."""
    sparse = [name for name, config in VARIANTS.items()
              if config.stage == 'sparse' and not name.endswith('-z0')]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('variants', nargs='*', help=f'of {", ".join(sparse)} (default: all)')
    parser.add_argument('--rounds', type=int, default=40, help='(default: %(default)s)')
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for variant in args.variants or sparse:
        with tempfile.TemporaryDirectory() as scratch:
            runners = {f'the graph of {tokens} tokens': runner(generated(variant), kept,
                                                               Path(scratch, str(kept)))
                       for tokens, kept in ((397, 37), (445, VARIANTS[variant].template_cells))}
            took = measure(runners, args.rounds)
        for name, times in took.items():
            median, late = percentiles(np.array(times)).values()
            print(f'{variant}, {name}: {median:.2f} ms ({late:.2f} ms at the 95th percentile)')
        for ratio in compare(took, list(took)[-1]):
            print(f'{variant}: {say_ratio(ratio)}')


if __name__ == '__main__':
    main()
