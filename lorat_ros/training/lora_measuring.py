# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What LoRA costs and what full fine-tuning does: the figures of ``lora_table``."""
from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import onnx
import torch

from lorat_ros.engines.session import open_session, Session, Value
from lorat_ros.models.bundle import Bundle, read_bundle
from lorat_ros.networks.export import macs_of
from lorat_ros.networks.importing import Clip
from lorat_ros.networks.lora import adapted
from lorat_ros.networks.lorat import base_shapes, Lorat, LoratConfig
from lorat_ros.training.items import Item, outline_of_box
from lorat_ros.training.loop import Trainer
from lorat_ros.training.method import Given
from lorat_ros.training.methods.lorat import LoratMethod, LoratSettings
from lorat_ros.training.pool import Pool
from lorat_ros.training.recipe import read_recipe, TrainConfig

MODES = ('lora', 'full')
SPREAD = 0.02      # of random weights
SETTLING = 2       # steps before a peak of memory is read: the optimiser's state is there by then


class Question(NamedTuple):
    """What is measured; plain values, for it is handed to other processes."""

    variant: Optional[str]
    base: Path
    settings: LoratSettings      # but for ``adapt``
    train: TrainConfig
    threads: int


def write_random_base(config: LoratConfig, path: Path) -> None:
    """Write a base of random weights as DINOv2's hub has its own."""
    torch.manual_seed(0)
    torch.save({name: torch.randn(shape) * SPREAD + float(name.endswith(('gamma', 'norm1.weight',
                                                                         'norm2.weight')))
                for name, shape in base_shapes(config).items()}, path)


def noise(frames: int = 8) -> list[Item]:
    """Frames of noise with a box: what is learnt does not matter here."""
    images = np.random.default_rng(0).integers(0, 255, (frames, 240, 320, 3), np.uint8)
    box = (120.0, 90.0, 60.0, 50.0)
    return [Item(image, box, outline_of_box(box)) for image in images]


def trainer_of(question: Question, mode: str, output: Path) -> Trainer:
    """The trainer that ``lorat train`` would use."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    method = LoratMethod(replace(question.settings, adapt=mode),
                         Given(question.variant, question.base))
    trainer = Trainer(method, Pool(clips={'noise': noise()}), output, question.train)
    trainer.objective.train()
    return trainer


def step(trainer: Trainer) -> None:
    """Take a step on drawn pairs, as the loop does."""
    batch = trainer.draws.batch((0, trainer.step, n) for n in range(trainer.config.batch))
    figures, _ = trainer.take_step(batch)
    trainer.curves.add(trainer.step, figures)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak(question: Question, mode: str, output: Path) -> int:
    """Peak memory of training in this process, bytes: of the GPU if there is one."""
    torch.set_num_threads(question.threads)
    trainer = trainer_of(question, mode, output)
    for _ in range(SETTLING):
        step(trainer)
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:      # of this process alone: what getrusage tells begins with the one that started it
        lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_of(question: Question, mode: str, output: Path) -> int:
    """Peak memory of training, in a process of its own."""
    with multiprocessing.get_context('spawn').Pool(1) as process:
        return process.apply(_peak, (question, mode, output))


def clock_of(threads: int) -> Callable[[], float]:
    """One thread's own time stands still while another process has the core."""
    return time.process_time if threads == 1 and not torch.cuda.is_available() \
        else time.perf_counter


def in_turns(actions: Mapping[str, Callable[[], object]], turns: int, clock: Callable[[], float]
             ) -> dict[str, list[float]]:
    """Do each once to warm up, then by turns, every second time the other way round; seconds."""
    for action in actions.values():
        action()
    took: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(turns):
        for name in (list(actions) if turn % 2 else list(actions)[::-1]):
            start = clock()
            actions[name]()
            took[name].append(clock() - start)
    return took


def paired(took: Mapping[str, list[float]], one: str, other: str) -> float:
    """Median over the turns of how long one took of what the other did."""
    return statistics.median(a / b for a, b in zip(took[one], took[other]))


def costs_of(trainer: Trainer) -> dict[str, int]:
    """What a trainer holds and writes, parameters and bytes."""
    parameters = list(trainer.network.parameters())
    trained = [p for p in parameters if p.requires_grad]
    trainer.save()
    return {'parameters': sum(p.numel() for p in parameters),
            'trained': sum(p.numel() for p in trained),
            'optimiser_bytes': sum(value.nbytes for state in trainer.optimiser.state.values()
                                   for value in state.values() if torch.is_tensor(value)),
            'gradient_bytes': sum(p.nbytes for p in trained),
            'checkpoint_bytes': (trainer.output / trainer.method.product).stat().st_size,
            'state_bytes': (trainer.output / 'last.pt').stat().st_size}


def searching(session: Session, config: LoratConfig) -> Callable[[], Mapping[str, Value]]:
    """What runs the search graph of a bundle once."""
    rng, cells = np.random.default_rng(0), config.template_grid
    template, search = (rng.standard_normal((1, 3, side, side), np.float32)
                        for side in (config.template_size, config.search_size))
    memory = session.run('template', {'image': template,
                                      'mask': np.ones((1, cells, cells), np.float32)})
    return partial(session.run, 'search', {'image': search, **memory})


def graph_of(bundle: Bundle) -> dict[str, Any]:
    """What a bundle's search graph consists of, and what it costs."""
    nodes = onnx.load(bundle.graphs['search'], load_external_data=False).graph.node
    entries = bundle.manifest['graphs'].values()
    return {'nodes': len(nodes), 'operators': dict(Counter(node.op_type for node in nodes)),
            'macs': bundle.manifest['macs'],
            'bytes': sum(e['bytes'] for g in entries for e in (g, *g.get('data', ())))}


def inference(bundles: Mapping[str, Path], config: LoratConfig, rank: int, frames: int
              ) -> dict[str, Any]:
    """Compare the bundles 'merged' and 'base': graphs, and time of a frame on one thread."""
    read = {name: read_bundle(path) for name, path in bundles.items()}
    sessions = {name: open_session(bundle, 'onnx', 1) for name, bundle in read.items()}
    took = in_turns({name: searching(s, config) for name, s in sessions.items()}, frames,
                    time.process_time)
    with torch.device('meta'):
        apart = Lorat(config, adapted(rank))
    found = {name: {**graph_of(bundle), 'seconds': statistics.median(took[name])}
             for name, bundle in read.items()}
    return {**found, 'ratio': paired(took, 'merged', 'base'), 'unmerged': {'macs': macs_of(apart)}}


def measure(wanted: LoratConfig, question: Question, turns: int, frames: int, scratch: Path,
            say: Callable[[str], None]) -> dict[str, Any]:
    """
    Measure both ways of fine-tuning.

    :param turns: steps of each, after one to warm up.
    :param frames: that each bundle is timed with.
    :param scratch: folder for checkpoints and bundles.
    """
    say('peak memory of each, in a process of its own')
    peaks = {mode: peak_of(question, mode, scratch / f'peak-{mode}') for mode in MODES}
    trainers = {mode: trainer_of(question, mode, scratch / mode) for mode in MODES}
    items = noise(3)
    clip = Clip([item.image for item in items], items[0].box)
    say('exporting before the training')
    whole, start = trainers['full'].method, scratch / 'start.safetensors'
    whole.write(trainers['full'].network, start, {})
    whole.export(start, scratch / 'base', {}, lambda: clip)
    say(f'{turns} steps of each, in turns')
    took = in_turns({mode: partial(step, trainer) for mode, trainer in trainers.items()},
                    turns, clock_of(question.threads))
    found: dict[str, Any] = {mode: {**costs_of(trainer), 'peak_bytes': peaks[mode],
                                    'step_seconds': statistics.median(took[mode])}
                             for mode, trainer in trainers.items()}
    say('exporting after LoRA, merged')
    tuned = trainers['lora'].method
    tuned.export(scratch / 'lora' / tuned.product, scratch / 'merged', {}, lambda: clip)
    del trainers, whole
    gc.collect()
    say('timing both bundles in turns')
    return {**found, 'step_ratio': paired(took, *MODES), 'batch': question.train.batch,
            'threads': question.threads, 'precision': question.train.precision,
            'settings': asdict(question.settings), 'inference': inference(
                {name: scratch / name for name in ('merged', 'base')}, wanted,
                question.settings.rank, frames)}


def train_config(batch: int, precision: str) -> TrainConfig:
    """The recipe's, all of a step's pairs at once."""
    return replace(read_recipe('lorat').train, batch=batch, micro_batch=0, precision=precision)
