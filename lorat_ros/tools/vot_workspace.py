# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A workspace for the VOT toolkit, made of sequences at hand: nothing has to be downloaded.

``python -m lorat_ros.tools.vot_workspace WORKSPACE``, then ``vot evaluate``; see
docs/evaluation.md.
"""
from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from lorat_ros.tools.frames import FramesError
from lorat_ros.tools.scene import cached_scene
from lorat_ros.tools.sequences import Clip, load_clip
from lorat_ros.tools.sequences_layouts import find_sources

SHORTEST = 20    # frames: the toolkit's analyses leave out the first ten after each start
TRACKER = 'lorat'
STACK = """\
title: Sequences at hand
experiments:
  unsupervised:                # once through, as lorat evaluate does
    type: unsupervised
    repetitions: 1
    analyses:
      - {type: average_accuracy, name: accuracy, burnin: 1}
  baseline:                    # started again five frames after each loss
    type: supervised
    skip_initialize: 5
    analyses:
      - {type: supervised_average_ar, name: ar, sensitivity: 30}
  multistart:                  # from the first frame forward, from the last one backward
    type: multistart
    analyses:
      - {type: multistart_average_ar, name: ar}
"""
CONFIG = 'stack: ./stack.yaml\nregistry: [./trackers.ini]\nsequences: sequences\n'


def write_workspace(folder: Path, clips: Sequence[Clip], model: Optional[str]) -> list[str]:
    """
    Write stack, tracker and sequences; frames are links to the originals.

    The toolkit's short-term experiments want a target that is always there: each stretch of
    frames with a box becomes a sequence of its own, unless it is very short.

    :param folder: does not exist yet, or is empty.
    :param model: what the tracker is started with; None: the shipped default.
    :returns: the names of the sequences.
    :raises FramesError: the folder is not empty, or no stretch is long enough.
    :raises OSError: something cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FramesError(f'{folder} is not empty: name a new folder')
    names = []
    for clip in clips:
        found = list(_stretches(clip))
        for number, part in enumerate(found, 1):
            names.append(clip.name if len(found) == 1 else f'{clip.name}-{number}')
            _write_sequence(folder / 'sequences' / names[-1], clip, part)
    if not names:
        raise FramesError(f'none of the {len(clips)} sequences shows its target in {SHORTEST} '
                          'frames in a row')
    command = [sys.executable, '-m', 'lorat_ros.tools.vot', *(['--model', model] if model else [])]
    for name, text in (('sequences/list.txt', '\n'.join(names) + '\n'), ('stack.yaml', STACK),
                       ('config.yaml', CONFIG),
                       ('trackers.ini', f'[{TRACKER}]\nlabel = {model or TRACKER}\nprotocol = trax'
                                        f'\ncommand = {shlex.join(command)}\n')):
        (folder / name).write_text(text, encoding='utf-8')
    return names


def _stretches(clip: Clip) -> Iterator[range]:
    """Frames with a box, as long as they follow each other."""
    known = np.isfinite(clip.truth).all(1)
    edges = np.flatnonzero(np.diff(np.r_[False, known, False].astype(np.int8)))
    return (range(a, b) for a, b in edges.reshape(-1, 2) if b - a >= SHORTEST)


def _write_sequence(folder: Path, clip: Clip, part: range) -> None:
    colour = folder / 'color'
    colour.mkdir(parents=True)
    suffix = clip.files[part[0]].suffix
    for number, index in enumerate(part, 1):
        os.symlink(clip.files[index].resolve(), colour / f'{number:08d}{suffix}')
    np.savetxt(folder / 'groundtruth.txt', clip.truth[part.start:part.stop], '%.4f', ',')
    anchors = [1, *[0] * (len(part) - 2), -1]
    (folder / 'anchor.value').write_text('\n'.join(map(str, anchors)) + '\n')
    (folder / 'sequence').write_text(f'channels.color=color/%08d{suffix}\nformat=default\n'
                                     'fps=30\n')


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the program; returns the exit status (2: something cannot be read or written)."""
    parser = argparse.ArgumentParser(prog='python -m lorat_ros.tools.vot_workspace',
                                     description='Make a workspace for the VOT toolkit.',
                                     allow_abbrev=False)
    parser.add_argument('workspace', type=Path, help='a new folder')
    parser.add_argument('--sequences', type=Path, metavar='FOLDER', help='what lorat evaluate '
                        "takes (default: the demo's own clip)")
    parser.add_argument('--model', help='name or folder of a bundle (default: the shipped one)')
    args = parser.parse_args(arguments)
    try:
        source = args.sequences or cached_scene().truth_path.parent
        clips = [load_clip(found) for found in find_sources(source)[1]]
        names = write_workspace(args.workspace, clips, args.model)
    except (FramesError, OSError) as error:
        print(f'lorat vot_workspace: {error}', file=sys.stderr)
        return 2
    print(f'{args.workspace}: {len(names)} sequences; now: vot evaluate --workspace '
          f'{args.workspace} {TRACKER}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
