from __future__ import annotations

import pickle
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialhist.tiles import PixelSource
from spatialhist.tiles._reading import blocks as _blocks
from spatialhist.tiles._reading.blocks import BlockCache, assemble, fetch


def block(value: int) -> np.ndarray:
    return np.full((3, 10, 10), value, np.uint8)


def test_the_least_recently_used_is_dropped():
    cache = BlockCache(3 * 300)
    for key in "abc":
        cache.put({key: block(1)})
    cache.get("a")
    cache.put({"d": block(2)})
    assert [cache.get(key) is not None for key in "abcd"] == [True, False, True, True]


def test_blocks_decoded_together_are_dropped_together():
    cache = BlockCache(3 * 300)
    cache.put({"a": block(1), "b": block(2)})
    cache.put({"c": block(3)})
    cache.put({"d": block(4)})
    assert [cache.get(key) is not None for key in "abcd"] == [False, False, True, True]


def test_block_decoded_twice_stays_when_the_first_is_dropped():
    cache = BlockCache(2 * 300)
    for key in "aab":
        cache.put({key: block(1)})
    assert cache.get("a") is not None
    assert cache.get("b") is not None


def test_block_decoded_twice_may_be_dropped_in_any_order():
    cache = BlockCache(3 * 300)
    cache.put({"a": block(1), "b": block(1)})
    cache.put({"a": block(1)})
    cache.get("b")
    for key in "cde":
        cache.put({key: block(1)})
    assert [cache.get(key) is not None for key in "abcde"] == [False, False, True, True, True]


def test_pickled_cache_is_empty():
    cache = BlockCache(1e6)
    cache.put({"a": block(1)})
    again = pickle.loads(pickle.dumps(cache))
    assert again.get("a") is None
    assert again.max_bytes == 1e6


def test_neighbors_are_read_at_once_and_kept(pyramid):
    cache, source = BlockCache(1e9), PixelSource(pyramid)
    keys = {(0, 0), (0, 1), (1, 1)}
    with patch.object(PixelSource, "read_run", autospec=True, side_effect=PixelSource.read_run) as read:
        blocks = fetch(source, 0, keys, cache)
        fetch(source, 0, keys, cache)
    assert [call.args[1:] for call in read.call_args_list] == [(0, 0, [0, 1]), (0, 1, [1])]
    for (row, column), found in blocks.items():
        expected = pyramid.stored[0][:, row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
        np.testing.assert_array_equal(found, expected)


def test_runs_are_limited(pyramid):
    with patch.object(_blocks, "MAX_RUN", 1), patch.object(PixelSource, "read_run", autospec=True) as read:
        read.side_effect = lambda self, level, row, columns: [block(c) for c in columns]
        fetch(PixelSource(pyramid), 0, {(0, 0), (0, 1)}, BlockCache(1e9))
    assert [call.args[1:] for call in read.call_args_list] == [(0, 0, [0]), (0, 0, [1])]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_assembled_window_is_the_slice_of_the_image(data):
    pixels = np.arange(3 * 23 * 31, dtype=np.uint16).reshape(3, 23, 31)
    height, width = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    blocks = {
        (r, c): pixels[:, r * height : (r + 1) * height, c * width : (c + 1) * width]
        for r in range(23)
        for c in range(31)
    }
    top, left = data.draw(st.integers(0, 22)), data.draw(st.integers(0, 30))
    bottom, right = data.draw(st.integers(top + 1, 23)), data.draw(st.integers(left + 1, 31))
    out = np.zeros((3, bottom - top, right - left), np.uint16)
    assemble(blocks, (height, width), (top, bottom), (left, right), out)
    np.testing.assert_array_equal(out, pixels[:, top:bottom, left:right])
