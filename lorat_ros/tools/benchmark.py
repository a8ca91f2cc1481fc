# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``lorat benchmark``: models under several engines, side by side in one run."""
from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path

HELP = 'measure how fast models run, engines side by side'
DEFAULT_ENGINES = ('onnx', 'openvino', 'torch')
GPU_ENGINES = ('torch:bf16', 'torch:fp16', 'tensorrt:fp16')
POOLS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'BLIS_NUM_THREADS')


def count(text: str) -> int:
    """Whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is below 1')
    return value


def duration(text: str) -> float:
    """Finite number above 0, for argparse."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text} is not a number above 0')
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.add_argument('--model', action='append', metavar='M', help='name or folder of a '
                        'bundle, or a published variant (lorat-b-224), which then gets random '
                        'weights; may be repeated (default: the shipped model)')
    parser.add_argument('--engine', action='append', metavar='E[:P]', help='what runs the model, '
                        'and in which precision (openvino:bf16; see lorat build); may be '
                        f'repeated (default: {", ".join(DEFAULT_ENGINES)}; '
                        f'with a GPU also {", ".join(GPU_ENGINES)})')
    parser.add_argument('--threads', type=count, default=1, metavar='N',
                        help='CPU threads (default: %(default)s)')
    parser.add_argument('--rounds', type=count, default=30, metavar='N',
                        help='how often the engines take turns (default: %(default)s)')
    parser.add_argument('--seconds', type=duration, default=60.0, metavar='S', help='about how '
                        'long a model may take; turns get shorter, down to one frame '
                        '(default: %(default)g)')
    parser.add_argument('--together', action='store_true', help='let all models take turns in '
                        'the same rounds and compare them with the first; all of them must fit '
                        'into memory')
    parser.add_argument('--crops', choices=('auto', 'cpu', 'gpu', 'both'), default='auto',
                        help='who cuts the crops of engines on a GPU; both: measure both, and '
                        'keep the faster one in the engine cache for auto (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--peers', type=Path, metavar='SEQUENCES', help='instead: run the '
                        'trackers of OpenCV and the models over a folder of sequences with known '
                        'truth, and compare accuracy and cost; the first --engine alone counts')
    parser.add_argument('--nanotrack', type=Path, metavar='FOLDER', help='with --peers: where '
                        "NanoTrack's two ONNX files lie, for OpenCV's TrackerNano")
    parser.add_argument('--plot', type=Path, metavar='FILE', help='with --peers or --scaling: '
                        'draw accuracy against cost, or how the cost grows, as PNG')
    parser.add_argument('--node', action='store_true', help='instead: run the real node, with a '
                        'camera, over DDS, and print where the milliseconds go; the first '
                        '--model and --engine alone count')
    parser.add_argument('--scaling', action='store_true', help='instead: cost against the number '
                        'of trackers at a time, the threads of the network, and, in the real '
                        'node, the size of images; the first --model and --engine alone count')
    parser.add_argument('--size', action='append', metavar='WxH', help='with --node or --scaling: '
                        'of the images; may be repeated (default: 640x480, 1280x720, 1920x1080, '
                        '3840x2160)')
    parser.add_argument('--transport', action='append', choices=('raw', 'compressed'),
                        help='with --node or --scaling: of the images; may be repeated '
                        '(default: both)')
    parser.add_argument('--repeat', type=count, default=1, metavar='N', help='with --node or '
                        '--scaling: how often each size is measured, in turns; what is printed '
                        'are medians (default: %(default)s)')
    parser.add_argument('--rate', type=duration, default=30.0, metavar='FPS',
                        help='with --node or --scaling: images per second (default: '
                        '%(default)g)')
    parser.add_argument('--frames', metavar='VIDEO|FOLDER',
                        help="what is tracked (default: the demo's own clip)")
    parser.add_argument('--init', metavar='x,y,w,h', help='the target in the first of the '
                        '--frames (default: first line of its groundtruth.txt)')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; returns 0, 1 (an engine that was named did not run) or 2."""
    limit_threads(args.threads)
    if args.node:
        from lorat_ros.tools import benchmark_node
        return benchmark_node.run(args)
    if args.scaling:
        from lorat_ros.tools import benchmark_scaling
        return benchmark_scaling.run(args)
    if args.peers:
        from lorat_ros.tools import benchmark_peers
        return benchmark_peers.run(args)
    # Only now: NumPy decides about its threads when it is loaded.
    from lorat_ros.tools import benchmark_report, benchmark_run
    from lorat_ros.tools.frames import check_folders_of
    try:
        check_folders_of(args.json)
        report = benchmark_run.measure_all(benchmark_run.Settings(
            tuple(dict.fromkeys(args.model or [''])),
            tuple(dict.fromkeys(args.engine or default_engines())),
            args.threads, args.rounds, args.seconds, args.together, args.frames, args.init,
            args.crops))
    except (ValueError, OSError, RuntimeError) as error:
        print(f'lorat benchmark: {error}', file=sys.stderr)
        return 2
    print(benchmark_report.text_of(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    if not all(model['engines'] for model in report['models']):
        return 2
    return 1 if args.engine and any(model['left_out'] for model in report['models']) else 0


def default_engines() -> tuple[str, ...]:
    """Engines measured if none is named: with a GPU, those too that run there."""
    from lorat_ros.engines.gpu import find_gpu, Gpu
    return (*DEFAULT_ENGINES, *GPU_ENGINES) if isinstance(find_gpu(), Gpu) else DEFAULT_ENGINES


def limit_threads(threads: int) -> None:
    """Tell every library that calculates to use so many threads."""
    os.environ.update({pool: str(threads) for pool in POOLS})
    import cv2
    cv2.setNumThreads(threads)
