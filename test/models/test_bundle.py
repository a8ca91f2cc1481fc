# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading bundles, and refusing damaged ones."""
from __future__ import annotations

import pytest
from support.bundles import copy_of_default

from lorat_ros.models.bundle import (BundleError, describe_file, read_bundle, write_manifest)
from lorat_ros.models.catalog import find_bundle


def test_the_shipped_bundle_says_what_it_is():
    bundle = find_bundle()
    assert bundle.family == 'kestrel'
    assert set(bundle.graphs) == {'template', 'search'}
    assert 0 < bundle.score_lost < bundle.score_recover < 1
    assert bundle.handed_over('template') == {'template_tokens', 'template_keys'}
    assert bundle.handed_over('search') == frozenset()
    for field in ('licence', 'provenance', 'scores', 'parameters'):
        assert bundle.manifest[field], field
    card = (bundle.path / 'MODEL_CARD.md').read_text()
    for heading in ('Licence', 'Data', 'Recipe', 'Scores', 'Limits'):
        assert heading in card, heading


def test_a_copy_reads_the_same(tmp_path):
    assert read_bundle(copy_of_default(tmp_path)).manifest == find_bundle().manifest


def test_a_folder_without_manifest(tmp_path):
    with pytest.raises(BundleError, match=r'holds no model\.json.*lorat models'):
        read_bundle(tmp_path)


def test_a_missing_graph(tmp_path):
    folder = copy_of_default(tmp_path)
    (folder / 'search.onnx').unlink()
    with pytest.raises(BundleError, match=r'search\.onnx is missing.*anew'):
        read_bundle(folder)


def test_a_truncated_graph(tmp_path):
    folder = copy_of_default(tmp_path)
    graph = folder / 'search.onnx'
    size = graph.stat().st_size
    graph.write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(BundleError, match=rf'1000 bytes, expected {size}: it is truncated'):
        read_bundle(folder)


def test_a_changed_graph(tmp_path):
    folder = copy_of_default(tmp_path)
    graph = folder / 'template.onnx'
    data = bytearray(graph.read_bytes())
    data[5000] ^= 1
    graph.write_bytes(data)
    with pytest.raises(BundleError, match=r'template\.onnx has checksum .*, expected .*damaged'):
        read_bundle(folder)


@pytest.mark.parametrize(('change', 'words'), [
    (lambda m: m.pop('family'), "field 'family' is None, expected str"),
    (lambda m: m.update(format=99), 'format 99, this version reads 1'),
    (lambda m: m['score'].update(lost=1.5), r'score\.lost is 1\.5, expected a number in \[0, 1\]'),
    (lambda m: m['score'].update(lost=0.9, recover=0.2), r'score\.lost 0\.9 is above'),
    (lambda m: m['score'].update(frames=0), r'score\.frames is 0, expected a whole number'),
    (lambda m: m['graphs'].pop('search'), "expected one of role 'search'"),
    (lambda m: m['graphs'].update(search='search.onnx'), r"graphs\.search is 'search\.onnx'"),
    (lambda m: m['graphs']['search'].pop('file'), r'graphs\.search\.file is None, expected str'),
    (lambda m: m['graphs']['search'].update(data=[{}]), r'search\.data\[0\]\.file is None'),
    (lambda m: m['graphs']['search'].update(file='../x.onnx'), 'expected the name of a file'),
])
def test_a_garbled_manifest(tmp_path, change, words):
    with pytest.raises(BundleError, match=words):
        read_bundle(copy_of_default(tmp_path, change))


@pytest.mark.parametrize('text', ['{', '[]', '3'])
def test_a_manifest_that_is_no_object(tmp_path, text):
    (tmp_path / 'model.json').write_text(text)
    with pytest.raises(BundleError, match=r'model\.json'):
        read_bundle(tmp_path)


def test_weights_beside_a_graph_are_checked_too(tmp_path):
    def name_data(manifest):
        manifest['graphs']['search']['data'] = [{'file': 'w.bin', 'bytes': 3, 'sha256': '0' * 64}]
    folder = copy_of_default(tmp_path, name_data)
    with pytest.raises(BundleError, match=r'w\.bin is missing'):
        read_bundle(folder)
    (folder / 'w.bin').write_bytes(b'abc')
    with pytest.raises(BundleError, match=r'w\.bin has checksum'):
        read_bundle(folder)


def test_a_written_manifest_is_checked_at_once(tmp_path):
    with pytest.raises(BundleError, match='family'):
        write_manifest(tmp_path, {'format': 1, 'name': 'x'})


def test_file_description(tmp_path):
    (tmp_path / 'a').write_bytes(b'abc')
    assert describe_file(tmp_path / 'a') == {
        'file': 'a', 'bytes': 3,
        'sha256': 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'}
