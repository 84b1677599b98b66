import builtins
import sys
from types import ModuleType

import pytest

from spatialhist.nn._encoders.access import access_to

PAGE = "huggingface.co/somebody/something"


@pytest.fixture
def token(monkeypatch):
    """Whether this machine is logged in to Hugging Face."""
    known = {"token": None}
    hub = ModuleType("huggingface_hub")
    hub.get_token = lambda: known["token"]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return known


class GatedRepoError(OSError):
    """As Hugging Face's own is called."""


def fail(error, *, gated, cause=None):
    with access_to("uni9", PAGE, gated=gated):
        raise error from cause


@pytest.mark.parametrize(
    ("error", "cause", "gated"),
    [
        (FileNotFoundError("not in the cache"), None, True),
        (GatedRepoError("403"), None, False),
        (OSError("cannot load"), GatedRepoError("401"), False),
        (OSError("You are trying to access a gated repo."), None, False),
    ],
)
def test_gated_weights_are_told_step_by_step(token, error, cause, gated):
    with pytest.raises(PermissionError) as caught:
        fail(error, cause=cause, gated=gated)
    said = str(caught.value)
    assert "weights of encoder 'uni9' are gated: (1) log in to huggingface.co, open https://" + PAGE in said
    assert "https://huggingface.co/settings/tokens" in said and "`hf auth login`" in said and "HF_TOKEN" in said


@pytest.mark.parametrize("gated", [True, False])
def test_weights_that_cannot_be_fetched_are_told_apart(token, gated):
    token["token"] = "hf_mine"
    with pytest.raises(OSError, match="could not be loaded from huggingface.co/somebody/something") as caught:
        fail(ConnectionError("no route\nmore"), gated=gated)
    assert type(caught.value) is OSError
    said = str(caught.value)
    assert "ConnectionError: no route Where" in said and "HF_HUB_OFFLINE=1" in said and "get_encoder('uni9')" in said


@pytest.mark.parametrize("error", ["ImportError", "ValueError", "RuntimeError"])
def test_what_is_no_matter_of_access_passes(token, error):
    with pytest.raises(getattr(builtins, error), match="^as it is$"):
        fail(getattr(builtins, error)("as it is"), gated=True)
