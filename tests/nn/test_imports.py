import subprocess
import sys

SCRIPT = """
import sys
blocked = "numpy scipy pandas sklearn skimage anndata scanpy squidpy spatialdata dask zarr lightning".split()
sys.modules |= dict.fromkeys(blocked)
import spatialhist.nn as nn
for name in nn.__all__:
    getattr(nn, name)
import torch
assert nn.get_encoder("color_texture")(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).isfinite().all()
assert len(nn.encoder_fingerprint(torch.nn.Linear(2, 3))) == 64
assert {m.split(".")[1] for m in sys.modules if m.startswith("spatialhist.")} == {"nn"}
"""


def test_needs_nothing_but_torch_and_lazy_loader():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_room_does_not_load_torch():
    script = "import sys, spatialhist.nn; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
