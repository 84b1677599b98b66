"""``sh.pp.save``, where scanpy users look for it; :func:`spatialhist.io.save` is its home."""

from spatialhist.io._save import save

__all__ = ["save"]
