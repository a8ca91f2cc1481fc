# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures on disk: headers, shrinking, and a memory with a limit."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pools import scene

from lorat_ros.training.store import (Chain, decode, PictureError, Pictures, read_picture,
                                      shrunk_size, size_of, size_of_file, Store)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    for number in range(30):
        cv2.imwrite(str(folder / f'{number}.png'),
                    np.full((50, 40, 3), number, np.uint8))
    return folder


def names(count: int) -> list[str]:
    return [f'{number}.png' for number in range(count)]


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@given(width=st.integers(1, 70), height=st.integers(1, 70))
def test_the_header_tells_the_size(suffix, width, height):
    data = cv2.imencode(suffix, np.zeros((height, width, 3), np.uint8))[1].tobytes()
    assert size_of(data) == (width, height)


@given(st.binary(max_size=40))
def test_of_other_files_no_size_is_told(data):
    assert size_of(data) is None
    size_of(b'\xff\xd8' + data)        # whatever follows: an answer or none, never an error


def test_a_file_of_another_kind_is_decoded_for_its_size(tmp_path):
    cv2.imwrite(str(tmp_path / 'x.bmp'), np.zeros((20, 30, 3), np.uint8))
    assert size_of_file(str(tmp_path / 'x.bmp')) == (30, 20)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(16, 500))
def test_shrinking_keeps_the_shape(width, height, longest):
    small = shrunk_size((width, height), longest)
    assert max(small) <= max(longest, 1) or small == (width, height)
    if max(width, height) <= longest:
        assert small == (width, height)
    else:
        assert max(small) == longest
        assert min(small) == max(1, round(min(width, height) * longest / max(width, height)))


@pytest.mark.parametrize('factor', [1, 2, 5, 9])
def test_a_large_jpeg_shrinks_to_the_same_picture_at_any_factor(factor):
    """A factor of 2 or more is decoded at a part of its size: nothing may shift by that."""
    image = cv2.resize(scene(np.random.default_rng(2), (60, 80)), None, fx=2 * factor,
                       fy=2 * factor, interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, 100))[1].tobytes()
    picture = decode(data, 'x', 80)
    expected = cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA)
    assert picture.image.shape == expected.shape
    assert picture.scale == pytest.approx((0.5 / factor, 0.5 / factor))
    assert np.abs(picture.image.astype(int) - expected).mean() < 3


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / 'x.jpg').write_bytes(b'\xff\xd8 no picture')
    with pytest.raises(PictureError, match=r'x\.jpg \(13 bytes\) cannot be decoded'):
        read_picture(str(tmp_path / 'x.jpg'))
    with pytest.raises(PictureError, match=r'y\.jpg cannot be read \(No such file'):
        read_picture(str(tmp_path / 'y.jpg'))


def test_memory_stays_within_its_limit_and_keeps_what_is_used(folder):
    store = Store(0.05)                  # eight pictures of 6 kB
    pictures = Pictures(store, folder, names(30))
    kept = pictures[0]
    for number in range(30):
        assert pictures[number][0, 0, 0] == number
        assert pictures[0] is kept       # used all the time: never thrown out
        assert store.bytes <= 50_000
    assert pictures[29] is pictures[29] and pictures[1] is not None


def test_what_is_pinned_stays_and_the_rest_is_divided(folder):
    store = Store(0.05)
    pictures = Pictures(store, folder, names(30))
    first = [pictures[number] for number in range(4)]
    store.pin(2)
    assert store.room == pytest.approx((50_000 - 4 * 6200) / 2, abs=50)
    for number in range(30):
        pictures[number]
        assert store.bytes <= store.room
    assert all(pictures[number] is first[number] for number in range(4))


def test_an_unreadable_picture_is_passed_over_with_a_warning(folder, tmp_path):
    for number in (0, 2):
        (tmp_path / f'{number}.png').write_bytes((folder / f'{number}.png').read_bytes())
    pictures = Pictures(Store(), tmp_path, names(3))
    with pytest.warns(UserWarning, match=r'1\.png cannot be read'):
        assert pictures[1][0, 0, 0] == 2


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=5))
def test_a_chain_is_its_parts_one_after_the_other(parts):
    chain, whole = Chain(parts), [value for part in parts for value in part]
    assert len(chain) == len(whole) and list(chain) == whole
    for number in range(-len(whole), len(whole)):
        assert chain[number] == whole[number]
    with pytest.raises(IndexError):
        chain[len(whole)]
