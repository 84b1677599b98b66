from __future__ import annotations

from typing import Literal

import pytest

from spatialhist._runtime.checks import as_folder, check_choice, check_range


@pytest.mark.parametrize("choices", [Literal["hex", "square"], ("hex", "square"), {"hex": 1, "square": 2}])
def test_choice_is_one_of_a_literal_or_of_a_collection(choices):
    check_choice("lattice", "square", choices)
    with pytest.raises(ValueError, match=r"^lattice='cubic' is not one of \['hex', 'square'\]$"):
        check_choice("lattice", "cubic", choices)


def test_message_names_what_else_is_taken():
    with pytest.raises(ValueError, match=r"\['otsu'\] nor a function$"):
        check_choice("method", "otzu", ("otsu",), otherwise="nor a function")


@pytest.mark.parametrize(
    ("value", "high", "wanted"), [(-1, float("inf"), "0 or more"), (2, 1, "0 to 1"), (float("nan"), 1, "0 to 1")]
)
def test_number_outside_of_its_range_is_refused(value, high, wanted):
    check_range("share", 0.5, 0, high)
    with pytest.raises(ValueError, match=f"^share={value} must be {wanted}$"):
        check_range("share", value, 0, high)


def test_a_folder_may_be_made_and_is_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert as_folder("cache", None) is None
    assert as_folder("cache", str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    for path in ("file", "file/within"):
        with pytest.raises(NotADirectoryError, match=r"cache='.*' cannot be a folder, since .*file is a file"):
            as_folder("cache", tmp_path / path)
    with pytest.raises(TypeError, match="cache=3 must be the path of a folder, or None"):
        as_folder("cache", 3)
