# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks' folders, drawn small: they are recognised, and every sequence is read as meant."""
from __future__ import annotations

import numpy as np
import pytest
from support.sequences import truth_of, write_frames, write_sequence

from lorat_ros.tools.frames import FramesError
from lorat_ros.tools.sequences import load_clip
from lorat_ros.tools.sequences_layouts import find_sources


def clips_of(folder, layout='auto'):
    """The layout that was seen, and the clips by name."""
    seen, sources = find_sources(folder, layout)
    return seen, {source.name: load_clip(source) for source in sources}


def test_plain_with_frames_in_img_and_beside(tmp_path):
    write_sequence(tmp_path / 'ten')
    write_sequence(tmp_path / 'two', frames='.')
    layout, clips = clips_of(tmp_path)
    assert layout == 'plain' and list(clips) == ['ten', 'two']
    assert all(len(clip) == 6 and not clip.doubts for clip in clips.values())


def test_one_sequence_alone(tmp_path):
    write_sequence(tmp_path / 'disc')
    assert list(clips_of(tmp_path / 'disc')[1]) == ['disc']


def test_frames_without_truth_are_heard_of(tmp_path):
    write_sequence(tmp_path / 'disc')
    write_frames(tmp_path / 'mute' / 'img', 3)
    _, sources = find_sources(tmp_path)
    assert [source.name for source in sources] == ['disc', 'mute']
    with pytest.raises(FramesError, match='mute: cannot read the box file'):
        load_clip(sources[1])


def test_otb_separators_targets_and_parts(tmp_path):
    tabs = [line.replace(',', '\t') for line in truth_of(6)]
    write_sequence(tmp_path / 'Car4', truth='groundtruth_rect.txt', lines=tabs)
    write_sequence(tmp_path / 'Jogging', truth='groundtruth_rect.1.txt')
    (tmp_path / 'Jogging' / 'groundtruth_rect.2.txt').write_text('\n'.join(truth_of(6, 1)))
    write_sequence(tmp_path / 'Human4', truth='groundtruth_rect.2.txt')
    (tmp_path / 'Human4' / 'groundtruth_rect.1.txt').write_text('')
    write_sequence(tmp_path / 'David', truth='groundtruth_rect.txt', lines=truth_of(471))
    blank = (tmp_path / 'David' / 'img' / '0001.png').read_bytes()
    for number in range(1, 771):
        (tmp_path / 'David' / 'img' / f'{number:04d}.png').write_bytes(blank)
    # Within the drawn image the disc would be gone after some frames; only the places matter.
    (tmp_path / 'David' / 'groundtruth_rect.txt').write_text('44 44 33 33\n' * 471)
    layout, clips = clips_of(tmp_path)
    assert layout == 'otb'
    assert list(clips) == ['Car4', 'David', 'Human4', 'Jogging.1', 'Jogging.2']
    assert clips['Car4'].init_box == clips['Human4'].init_box == (44, 44, 33, 33)
    assert clips['Jogging.2'].init_box == (48, 44, 33, 33)
    assert [clips['David'].files[i].stem for i in (0, -1)] == ['0300', '0770']
    assert not any(clip.doubts for clip in clips.values())


def test_got10k_order_labels_and_what_is_listed_but_missing(tmp_path):
    for name in ('GOT-10k_Val_000002', 'GOT-10k_Val_000001'):
        folder = write_sequence(tmp_path / name, frames='.')
        (folder / 'absence.label').write_text('0\n' * 6)
    (folder / 'cover.label').write_text('8\n8\n0\n8\n8\n8\n')
    (folder / 'absence.label').write_text('0\n0\n0\n1\n0\n0\n')
    layout, clips = clips_of(tmp_path)
    assert layout == 'got10k'
    assert list(clips) == ['GOT-10k_Val_000001', 'GOT-10k_Val_000002']
    assert np.flatnonzero(np.isnan(clips['GOT-10k_Val_000001'].truth[:, 0])).tolist() == [2]
    (tmp_path / 'list.txt').write_text('GOT-10k_Val_000002\nGOT-10k_Val_000009\n')
    _, sources = find_sources(tmp_path)
    assert [source.name[-1] for source in sources] == ['2', '9']
    with pytest.raises(FramesError, match='000009: cannot read the box file'):
        load_clip(sources[1])


@pytest.mark.parametrize('root', ['.', 'airplane'])
def test_lasot_by_category_or_flat(tmp_path, root):
    folder = write_sequence(tmp_path / 'airplane' / 'airplane-1')
    (folder / 'full_occlusion.txt').write_text('0,0,1,0,0,0')
    (folder / 'out_of_view.txt').write_text('0,0,0,0,1,0')
    layout, clips = clips_of(tmp_path / root)
    assert layout == 'lasot' and list(clips) == ['airplane-1']
    assert clips['airplane-1'].init_box == (43, 43, 33, 33)
    assert np.flatnonzero(np.isnan(clips['airplane-1'].truth[:, 0])).tolist() == [2, 4]


def uav(folder, annotations, **lengths):
    """Write annotations: name to number of lines, or to lines."""
    (folder / 'anno' / annotations).mkdir(parents=True, exist_ok=True)
    for name, lines in lengths.items():
        (folder / 'anno' / annotations / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def test_uav123_parts_share_the_frame_where_they_meet(tmp_path):
    for name, count in (('bike1', 4), ('car1', 9), ('car1_s', 3)):
        write_frames(tmp_path / 'data_seq' / 'UAV123' / name, count, name='{:06d}.png')
    uav(tmp_path, 'UAV123', bike1=truth_of(4), car1_1=truth_of(4), car1_2=truth_of(4, 3),
        car1_3=truth_of(3, 6), car1_s=truth_of(3))
    layout, clips = clips_of(tmp_path)
    assert layout == 'uav123' and not any(clip.doubts for clip in clips.values())
    spans = {name: (int(clip.files[0].stem), int(clip.files[-1].stem))
             for name, clip in clips.items()}
    assert spans == {'bike1': (1, 4), 'car1_1': (1, 4), 'car1_2': (4, 7), 'car1_3': (7, 9),
                     'car1_s': (1, 3)}


def test_uav123_parts_that_begin_elsewhere_and_long_sequences(tmp_path):
    frames = write_frames(tmp_path / 'data_seq' / 'UAV123' / 'bird1', 3, name='{:06d}.png')
    one = (frames / '000001.png').read_bytes()
    for number in (774, 775, 776, 777):
        (frames / f'{number:06d}.png').write_bytes(one)
    uav(tmp_path, 'UAV123', bird1_1=truth_of(3), bird1_2=truth_of(2))
    uav(tmp_path, 'UAV20L', bird1=truth_of(3))
    _, clips = clips_of(tmp_path)
    assert [f.stem for f in clips['bird1_2'].files] == ['000775', '000776']
    layout, clips = clips_of(tmp_path, 'uav20l')
    assert layout == 'uav20l' and list(clips) == ['bird1']


def test_a_layout_can_be_forced(tmp_path):
    write_sequence(tmp_path / 'disc')
    assert clips_of(tmp_path, 'lasot')[1]['disc'].origin == 1
    with pytest.raises(FramesError, match='holds no sequence in the layout uav123'):
        find_sources(tmp_path, 'uav123')


def test_what_is_no_folder_of_sequences(tmp_path):
    with pytest.raises(FramesError, match=r'holds no sequence: expected folders with groundtruth'):
        find_sources(tmp_path)
    with pytest.raises(FramesError, match='is not a folder'):
        find_sources(tmp_path / 'nowhere')


def test_two_sequences_of_one_name(tmp_path):
    for category in ('cat', 'dog'):
        folder = write_sequence(tmp_path / category / 'one')
        (folder / 'out_of_view.txt').write_text('0,0,0,0,0,0')
    with pytest.raises(FramesError, match='several sequences are called one'):
        find_sources(tmp_path)
