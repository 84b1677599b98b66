"""The command ``spatialhist``."""

from spatialhist.cli._app import app

__all__ = ["app"]
