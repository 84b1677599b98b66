from __future__ import annotations

import logging
import warnings

import pytest

from spatialhist._runtime.quiet import loggers_at, warning_ignored


def test_loggers_speak_again_afterwards(caplog):
    one, other = logging.getLogger("library.one"), logging.getLogger("library.other")
    other.setLevel(logging.INFO)
    with pytest.raises(KeyError), loggers_at(logging.ERROR, "library.one", "library.other"):
        one.warning("hidden")
        other.error("an error")
        raise KeyError
    assert (one.level, other.level) == (logging.NOTSET, logging.INFO)
    one.warning("a warning")
    assert [r.getMessage() for r in caplog.records] == ["an error", "a warning"]


def test_a_warning_is_ignored_for_a_while_and_filters_of_others_stay():
    def results():
        with warning_ignored("mind", UserWarning, __name__):
            yield from range(2)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        each = results()
        next(each)
        warnings.filterwarnings("ignore", "set between two results")
        warnings.warn("mind this", UserWarning, stacklevel=1)
        warnings.warn("another", UserWarning, stacklevel=1)
        assert list(each) == [1]
        warnings.warn("mind that", UserWarning, stacklevel=1)
        warnings.warn("set between two results", UserWarning, stacklevel=1)
    assert [str(w.message) for w in told] == ["another", "mind that"]


def test_filters_that_were_replaced_meanwhile_are_no_matter():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with warning_ignored("mind", UserWarning, __name__):
            warnings.resetwarnings()
        assert warnings.filters == []
        assert before
