from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from spatialhist._runtime import threads
from spatialhist._runtime.executor import cores
from spatialhist.nn import ColorTexture, FrozenEncoder
from spatialhist.tiles._features import engines
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.encode import encode_parts
from spatialhist.tiles._features.engines import Cores, Engine, Gpu, SentEncoder, as_engine


class Network(torch.nn.Module):
    """A convolution whose sums depend on their order, noting how many tiles it sees and in which threads."""

    def __init__(self, at_most: int = 10**9) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5), torch.nn.ReLU(), torch.nn.Conv2d(16, 7, 5))
        self.at_most, self.seen, self.in_threads = at_most, [], set()

    def forward(self, tiles):
        self.seen.append(len(tiles))
        self.in_threads.add(threading.get_ident())
        if len(tiles) > self.at_most:
            raise torch.OutOfMemoryError("out of memory")
        return self.layers(tiles.float() / 255).mean(dim=(2, 3))


class Reader:
    """Tiles in memory, in batches."""

    def __init__(self, tiles):
        self.tiles = tiles

    def iter(self, centers, extent_px, pixels, batch, *, padding, pool):
        rows = centers[:, 0].astype(int)
        for i in range(0, len(rows), batch):
            yield np.arange(i, min(i + batch, len(rows))), self.tiles[rows[i : i + batch]]


def some_tiles(n, side=64):
    return np.random.default_rng(n).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


def encode(engine, tiles, *, parts=1, batch=None):
    centers = np.array_split(np.repeat(np.arange(len(tiles))[:, None], 2, axis=1), parts)
    found = list(encode_parts(Reader(tiles), centers, engine, extent_px=1, pixels=tiles.shape[-1], batch=batch))
    assert [len(part) for part in found] == [len(part) for part in centers]
    return np.concatenate(found)


@pytest.fixture(params=[1, 2, 5])
def pool_of(request, monkeypatch):
    pool = threads.ThreadPoolExecutor(request.param, initializer=torch.set_num_threads, initargs=(1,))
    monkeypatch.setattr(engines, "core_pool", lambda: pool)
    monkeypatch.setattr(engines, "cores", lambda: request.param)
    yield request.param
    pool.shutdown()


def test_features_are_equal_to_the_bit_for_any_number_of_threads(pool_of):
    tiles = some_tiles(150)
    with threads.pinned_threads(1):
        for encoder in (Network(), ColorTexture()):
            engine = as_engine(encoder, Compute("cpu"))
            assert isinstance(engine, Cores)
            alone = engine.encoder(torch.from_numpy(tiles))
            np.testing.assert_array_equal(encode(engine, tiles, parts=2, batch=150), alone[: len(tiles)])


def test_a_network_is_called_by_all_threads():
    network = Network()
    slow = FrozenEncoder(lambda t: t)
    slow.encode = network
    network.register_forward_pre_hook(lambda *_: time.sleep(0.05))
    encode(as_engine(network, Compute("cpu")), some_tiles(256))
    assert len(network.in_threads) == cores()


@pytest.mark.parametrize("kind", ["a function", "hooks"])
def test_what_may_keep_something_between_calls_is_called_by_this_thread(kind):
    network = Network()
    if kind == "hooks":
        network.layers[0].register_forward_hook(lambda *_: None)
    engine = as_engine(network if kind == "hooks" else lambda tiles: network(tiles), Compute("cpu"))
    assert type(engine) is Engine
    encode(engine, some_tiles(130))
    assert network.in_threads == {threading.get_ident()}


def test_no_more_is_read_ahead_than_keeps_all_busy(monkeypatch):
    held = []

    class Held:
        pieces = 1

        def __init__(self, tiles):
            held.append(self)
            self.tiles = tiles

        def result(self):
            held.remove(self)
            return self.tiles.mean(axis=(2, 3))

        def cancel(self):
            held.remove(self)

    monkeypatch.setattr(Gpu, "submit", lambda self, tiles: Held(tiles))
    most = []
    tiles = some_tiles(40, side=8)

    class Watched(Reader):
        def iter(self, *args, **options):
            for batch in super().iter(*args, **options):
                most.append(len(held))
                yield batch

    engine = Gpu(FrozenEncoder(Network()), Compute("cpu"))
    centers = np.repeat(np.arange(40)[:, None], 2, axis=1)
    next(encode_parts(Watched(tiles), [centers], engine, extent_px=1, pixels=8, batch=4))
    assert max(most) == engine.most == 3
    waiting = encode_parts(Watched(tiles), [centers[:4], centers[4:]], engine, extent_px=1, pixels=8, batch=4)
    next(waiting)
    waiting.close()
    assert held == []


META = torch.device("meta")


class OneWay(TorchDispatchMode):
    """A device that is not there: what goes to ``meta`` stays on the CPU and is counted, and so is what waits."""

    def __init__(self):
        super().__init__()
        self.up, self.down, self.waits = [], 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # in inference mode a copy to a device arrives as the call that the user wrote
        if func.name().split("::")[1].split(".")[0] in ("to", "_to_copy") and META in [
            v for v in [*args, *kwargs.values()] if isinstance(v, torch.device)
        ]:
            self.up.append((args[0].dtype, tuple(args[0].shape)))
            return args[0].clone()
        self.down += func is torch.ops.aten.copy_.default
        self.waits += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **kwargs)


def test_tiles_go_to_the_device_once_as_bytes_and_nothing_waits():
    network, tiles = FrozenEncoder(Network()), some_tiles(40)
    engine = Gpu(network, Compute("cpu"))
    engine.network  # noqa: B018, weights are moved before tiles are counted
    engine.target = META
    with OneWay() as device:
        found = encode(engine, tiles, batch=16)
    assert device.up == [(torch.uint8, (n, 3, 64, 64)) for n in (16, 16, 8)]
    assert (device.down, device.waits) == (3, 0)
    np.testing.assert_allclose(found, network(torch.from_numpy(tiles)), atol=1e-6)


def test_batches_are_halved_until_they_fit_and_stay_so():
    network, tiles = Network(at_most=20), some_tiles(130)
    engine = Gpu(FrozenEncoder(network), Compute("cpu"))
    found = encode(engine, tiles, batch=64)
    reference = Network()(torch.from_numpy(tiles)).detach()
    np.testing.assert_allclose(found, reference, atol=1e-6)
    seen = engine.network.encode.seen
    assert seen[:4] == [64, 32, 16, 16]
    assert max(seen[2:]) == 16


def test_one_tile_that_does_not_fit_is_an_error():
    engine = Gpu(FrozenEncoder(Network(at_most=0)), Compute("cpu"))
    with pytest.raises(MemoryError, match="cpu has too little memory for one tile .*: free it of other programs"):
        encode(engine, some_tiles(3))


def test_what_the_user_handed_in_is_not_moved(monkeypatch):
    mine = Network()
    engine = Gpu(FrozenEncoder(mine), Compute("cpu"))
    monkeypatch.setattr(Gpu, "target", META)
    assert next(engine.network.parameters()).device.type == "meta"
    assert next(mine.parameters()).device.type == "cpu"


def test_only_networks_go_to_a_device(monkeypatch):
    monkeypatch.setattr(Compute, "found", torch.device("cuda"))
    assert isinstance(as_engine(Network()), Gpu)
    assert isinstance(as_engine(ColorTexture()), Cores)
    assert type(as_engine(lambda tiles: tiles)) is Engine
    gpu = as_engine(Network())
    assert (gpu.precision, gpu.device) == ("float16", "cuda")


def test_features_that_half_precision_cannot_hold_are_refused(monkeypatch):
    monkeypatch.setattr(Gpu, "precision", "float16")
    monkeypatch.setattr(Gpu, "_autocast", lambda self: torch.enable_grad())
    engine = Gpu(FrozenEncoder(torch.nn.Sequential(Network(), torch.nn.Threshold(1e9, float("inf")))), Compute("cpu"))
    with pytest.raises(ValueError, match="of 3 of 3 tiles in float16: pass precision='float32'"):
        encode(engine, some_tiles(3))


def test_an_encoder_is_sent_without_what_it_runs_on():
    sent = SentEncoder("color_texture", Compute("cpu"))
    assert sent.engine is sent.engine
    again = pickle.loads(pickle.dumps(sent))
    assert "engine" not in vars(again)
    # a name is loaded once in a process
    assert again.engine is sent.engine
