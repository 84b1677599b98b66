"""Whatever is wrong with the input, it is refused by name and nothing has changed."""

from __future__ import annotations

import inspect
import warnings

import bad_io
import bad_objects
import bad_options
import pytest

import spatialhist as sh

CASES = [*bad_objects.CASES, *bad_io.CASES, *bad_options.CASES]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_refused_by_name_and_nothing_changes(box, case):
    if case.damage is not None:
        case.damage(box)
    before = box.digest()
    with warnings.catch_warnings(), pytest.raises(case.error) as caught:
        warnings.simplefilter("ignore")
        case.call(box)
    assert type(caught.value).__module__.split(".")[0] in ("builtins", "spatialhist"), type(caught.value)
    missing = [word for word in case.says if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"
    after = box.digest()
    assert {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)} == set()


def test_every_function_that_takes_an_object_has_a_case():
    takers = set()
    for room in sh.__all__:
        for name in getattr(sh, room).__all__:
            function = getattr(getattr(sh, room), name)
            if callable(function) and next(iter(inspect.signature(function).parameters), "") == "sdata":
                # an alias (`pp.save`) stands for the function at home
                takers.add(f"{function.__module__.split('.')[1]}.{name}")
    assert takers - {case.function for case in CASES} == set()
    assert len(CASES) == len({case.id for case in CASES}) > 400
