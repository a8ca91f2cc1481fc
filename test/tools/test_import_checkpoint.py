# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`lorat import` as users run it: LoRAT-S-224 of full size, and what is said when it fails."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch
from support.generator import frame
from support.lorat_checkpoints import write_base, write_delta

from lorat_ros.models.bundle import read_bundle
from lorat_ros.tools.cli import main
from lorat_ros.tools.frames import FramesError
from lorat_ros.tools.import_checkpoint import verification_clip, VERIFIED_FRAMES


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> Path:
    """A folder with LoRAT-S's delta and base, and a clip."""
    folder = tmp_path_factory.mktemp('official')
    write_delta(folder, 'lorat-s-224')
    write_base(folder, 'lorat-s-224')
    (folder / 'clip').mkdir()
    for index in range(3):
        image, _ = frame('import', index, 120, 160, (50, 40), (3, 2), (36, 28))
        cv2.imwrite(str(folder / 'clip' / f'{index}.png'), image[..., ::-1])
    return folder


@pytest.fixture(autouse=True)
def _users_folders(tmp_path, monkeypatch):
    monkeypatch.delenv('LORAT_MODELS', raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))


def arguments(files: Path, *more: str) -> list[str]:
    """Arguments that import the delta."""
    return ['import', str(files / 'lorat-s-224' / 'model.safetensors'), '--variant', 'lorat-s-224',
            '--base', str(files / 'dinov2_vits14_pretrain.pth'), *more]


def test_a_checkpoint_becomes_a_model_that_tracks(files, tmp_path, capsys):
    more = {'score': {'lost': 0.2, 'recover': 0.4}, 'scores': {'AUC': 51.0}}
    (tmp_path / 'more.json').write_text(json.dumps(more))
    clip = ['--init', '50,40,36,28']
    assert main(arguments(files, '--name', 'mine', '--describe', str(tmp_path / 'more.json'),
                          '--licence', 'mine alone', '--frames', str(files / 'clip'), *clip)) == 0
    printed = capsys.readouterr()
    # What the exporter says of itself is not for the user.
    assert 'torchvision' not in printed.err and 'FutureWarning' not in printed.err
    for words in ('mine (lorat s-224, delta)', 'dinov2_vits14_pretrain.pth', '22.22 M', 'GMACs',
                  'mine alone', 'in 2 frames', 'search.score ', 'search.boxes ',
                  '--model mine', 'model:=mine'):
        assert words in printed.out, words
    bundle = read_bundle(tmp_path / 'data' / 'lorat_ros' / 'models' / 'mine')
    assert (bundle.score_lost, bundle.score_recover) == (0.2, 0.4)
    assert bundle.manifest['scores'] == {'AUC': 51.0}
    assert main(['models']) == 0
    printed = capsys.readouterr().out
    assert any(line.startswith('LoRAT-S-224') and line.endswith(' mine')
               for line in printed.splitlines())
    boxes = tmp_path / 'boxes.txt'
    assert main(['track', str(files / 'clip'), *clip, '--model', 'mine', '--boxes',
                 str(boxes)]) == 0
    assert len(boxes.read_text().splitlines()) == 3


@pytest.mark.parametrize(('more', 'words'), [
    (['--init', '1,2,3,4'], '--init belongs to --frames'),
    (['--frames', '/nowhere'], '/nowhere does not exist'),
    (['--name', 'a/b'], '--name a/b: expected a name'),
    (['--variant', 'lorat-b-224'], 'not lorat-b-224'),
    (['--base', '/nowhere.pth'], '/nowhere.pth cannot be read')])
def test_what_is_wrong_is_said_in_one_line(files, tmp_path, capsys, more, words):
    assert main(arguments(files, *more)) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize(('text', 'words'), [
    ('{', 'is not valid JSON'), ('[]', 'holds a list'), ('{"family": "x"}', "the field 'family'")])
def test_a_description_that_cannot_be_used(files, tmp_path, capsys, text, words):
    (tmp_path / 'more.json').write_text(text)
    assert main(arguments(files, '--describe', str(tmp_path / 'more.json'))) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_malicious_files_are_refused(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (tmp_path / 'marker').write_text, ('x',)
    torch.save({'net': Evil()}, tmp_path / 'evil.pth')
    assert main(['import', str(tmp_path / 'evil.pth')]) == 2
    assert 'was not opened' in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'marker').exists()


def test_frames_to_verify_with(files, tmp_path):
    images, box = verification_clip(files / 'clip', '1,2,30,40')
    assert len(images) == 3 and box == (1, 2, 30, 40)
    for index in range(40):
        cv2.imwrite(str(tmp_path / f'{index}.png'), images[0])
    assert len(verification_clip(tmp_path, '1,2,30,40')[0]) == VERIFIED_FRAMES
    for index in range(1, 40):
        (tmp_path / f'{index}.png').unlink()
    with pytest.raises(FramesError, match='has 1 frame'):
        verification_clip(tmp_path, '1,2,30,40')
    with pytest.raises(FramesError, match='no target'):
        verification_clip(tmp_path, None)
