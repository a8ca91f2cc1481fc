# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model cards: where data came from, what was found on held-out clips, and what it is cut by."""
from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support.pools import write_pool

from lorat_ros.models.bundle import read_bundle, write_manifest
from lorat_ros.models.catalog import find_bundle
from lorat_ros.overlay import contact_sheet
from lorat_ros.training import judging
from lorat_ros.training.card import described, proof_clip
from lorat_ros.training.card_text import card_of, Facts, table
from lorat_ros.training.curves import Curves
from lorat_ros.training.footage import Notes, Reading
from lorat_ros.training.origins import index_of, origins_of
from lorat_ros.training.pool import Pool, read_pool
from lorat_ros.training.sources import read_data, Share
from lorat_ros.training.store import Store

INDEX = """path,source_repo,licence,width,height,kind,has_mask,has_box,frames,source_path
clips/moving,me/footage,CC BY 4.0,160,120,clip,1,1,8,here
stills/discs/00000.jpg,you/discs,MIT,160,120,still,1,1,1,there
stills/discs/00001.jpg,you/discs,Apache-2.0,160,120,still,1,1,1,there
"""


class Follower:
    """Follows perfectly until frame ``lost``, then stays where it is with a low score."""

    def __init__(self, clip, lost):
        self.boxes = [item.box for item in clip]
        self.lost = lost

    def init(self, image, box):
        self.number = next(n for n, b in enumerate(self.boxes) if b == box)

    def update(self, image):
        self.number += 1
        good = self.number < self.lost
        return SimpleNamespace(box=self.boxes[self.number if good else 0],
                               score=0.8 if good else 0.2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = write_pool(tmp_path_factory.mktemp('data') / 'pool', frames=14)
    (folder / 'index.csv').write_text(INDEX)
    return folder


@pytest.fixture(scope='module')
def pool(folder):
    return read_pool(folder)


def judged(clip, lost=8):
    return judging.judge(Follower(clip, lost), {'moving': clip})


def test_everything_used_is_accounted_for_with_its_terms(folder, tmp_path):
    shares = [Share(folder, 2.0)]
    pool = read_data(shares, Reading(Store(50)), tmp_path, Notes())
    found = {o.source: o for o in origins_of(pool, shares, tmp_path)}
    assert found['me/footage'].licence == 'CC BY 4.0'
    assert found['me/footage'].counts == Counter({'clips': 1, 'frames': 14, 'labelled frames': 14})
    assert found['you/discs'].licence == 'MIT; Apache-2.0'
    assert found['you/discs'].counts == Counter({'stills': 6, 'labelled objects': 6})
    assert found['not stated'].counts == Counter({'clips': 1, 'frames': 14})      # 'plain'
    assert {o.data for o in found.values()} == {f'{folder}=2'}
    assert index_of(tmp_path) == {}


def test_frames_in_plain_folders_are_accounted_for(tmp_path):
    clip = tmp_path / 'set' / 'one'
    clip.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(clip / f'{number:05d}.jpg'), np.full((60, 80, 3), 99, np.uint8))
    (clip / 'groundtruth.txt').write_text('9,9,20,20\n' * 3)
    shares = [Share(tmp_path / 'set')]
    pool = read_data(shares, Reading(Store(50)), tmp_path / 'run', Notes())
    origin, = origins_of(pool, shares, tmp_path / 'run')
    assert (origin.kind, origin.licence) == ('folder', 'not stated')
    assert origin.counts == Counter({'clips': 1, 'frames': 3, 'labelled frames': 3})


def test_proof_is_made_with_real_frames(pool):
    clip = proof_clip(None, pool)
    assert len(clip.images) == 5 and clip.box == pool.clips['moving'][0].box
    still = proof_clip(Pool(), Pool(stills=pool.stills, images=pool.images))
    assert len(still.images) == 2 and still.box == pool.stills['discs'][0].box
    bare = proof_clip(Pool(images=pool.images))
    assert len(bare.images) == 2 and bare.box[2] > 0


def test_what_goes_wrong_is_found(pool, tmp_path):
    clip = pool.clips['moving']
    found = judged(clip)
    assert found.worst() == ['moving'] and found.frames == 14 and 0.9 < found.area <= 1
    overlap = found.overlaps['moving']
    assert (overlap[:7] == 1).all() and (overlap[7:] < 0.2).all()
    assert judging.moments(overlap) == [7, 8, 10, 13]
    assert judging.file_of(clip, 7) == '00007.jpg'
    judging.draw_worst(Follower(clip, 8), {'moving': clip}, found, 0.5, tmp_path / 'worst.png')
    sheet = cv2.imread(str(tmp_path / 'worst.png'))
    assert sheet.shape == contact_sheet([np.zeros((300, 400, 3), np.uint8)] * 4, 4, 1600,
                                        ['x'] * 4).shape
    assert judging.judge(None, {'short': clip[:5]}) is None


def test_moments_of_a_clip_that_never_goes_wrong():
    overlap = np.full(40, 0.8)
    overlap[[3, 17, 22, 39]] = 0.6
    assert judging.moments(overlap) == [4, 18, 23, 40]


def test_thresholds_need_evidence():
    rng = np.random.default_rng(0)
    followed, gone = rng.normal(0.7, 0.1, 200).clip(0, 1), rng.normal(0.2, 0.1, 90).clip(0, 1)
    lost, recover = judging.thresholds_of(followed, gone)
    assert 0.35 < lost < 0.55 and (followed > lost).mean() > 0.95 and (gone < lost).mean() > 0.95
    assert lost + 0.09 <= recover <= np.median(followed)
    assert judging.thresholds_of(followed, gone[:29]) is None
    assert judging.thresholds_of(followed[:5], gone) is None
    assert judging.thresholds_of(followed, rng.permutation(followed)) is None       # tells nothing
    assert judging.thresholds_of(np.r_[followed, np.nan], gone) == (lost, recover)


def facts(tmp_path, manifest, **changes):
    curves = Curves(tmp_path)
    for step in range(1, 9):
        curves.add(step, {'total': 8.0 / step, 'overlap': step / 10})
    run = {'recipe': 'kestrel', 'steps': 8, 'samples': 32, 'hours': 0.5, 'rate': 12.0,
           'processes': 2, 'machine': '2 CPU cores', 'versions': {'torch': '2.9'},
           'starts': [{'step': 0, 'processes': 2, 'command': 'lorat train kestrel'}]}
    given = {'manifest': manifest, 'recipe': {'method': 'kestrel', 'train': {'seed': 5}},
             'run': run, 'files': {}, 'origins': [], 'held_out': [],
             'names': {'held out': [], 'left out': ['cats']}, 'curves': curves, 'clips': {},
             'judgement': None, 'judging': ''}
    return Facts(**{**given, **changes})


def test_a_card_says_what_is_not_known(tmp_path):
    card = card_of(facts(tmp_path, dict(find_bundle('kestrel-e').manifest)))
    for said in ('Nothing was held out', 'is not known.**', '**not calibrated**, the family',
                 'None were looked for', 'Left out altogether: cats', '2 processes on 2 CPU cores',
                 '| total | 6 | 1.071 | 1 (step 8) | 8 (step 1) |', 'from scratch'):
        assert said in card, said
    assert 'worst.png' not in card


def test_a_card_says_what_was_found(pool, tmp_path):
    clip, manifest = pool.clips['moving'], dict(find_bundle('kestrel-e').manifest)
    found = judged(clip)
    assert found.thresholds() is not None
    manifest = described(manifest, found, 'the command')
    assert manifest['score'].items() >= found.thresholds()._asdict().items()
    assert manifest['scores']['held-out AUC'] == round(100 * found.mean('plain'), 1)
    card = card_of(facts(
        tmp_path, manifest, judgement=found, clips={'moving': clip}, judging='the command',
        files={'--base': 'dino.pth (SHA-256 00ff…)'}))
    for said in ('(`the command`)', f'`score.lost` {manifest["score"]["lost"]:g}',
                 'on 6 of 13 frames, the longest time from 00008.jpg to 00013.jpg',
                 'on: `--base` dino.pth (SHA-256 00ff…).', '](worst.png)'):
        assert said in card, said
    assert 'not calibrated' not in card


def test_thresholds_that_were_chosen_can_be_read(pool, tmp_path):
    manifest = described(dict(find_bundle('kestrel-e').manifest), judged(pool.clips['moving']), '')
    write_manifest(tmp_path, manifest)
    with pytest.raises(ValueError, match=r'\.onnx is missing'):      # model.json itself is right
        read_bundle(tmp_path)


def test_cells_cannot_break_a_table():
    assert table(('a', 'b'), [('x|y', 1)]).splitlines()[-1] == '| x\\|y | 1 |'
