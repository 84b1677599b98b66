"""One self-contained HTML page per run, and an interactive one."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, submod_attrs={"_explore": ["explore"], "_write": ["write"]})
