"""Say how to get at weights that cannot be loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

TOKENS = "https://huggingface.co/settings/tokens"


@contextlib.contextmanager
def access_to(encoder: str, weights: str, *, gated: bool = False) -> Iterator[None]:
    """Load weights; tell of ``weights``, their page, what has to be done where that fails.

    Raises
    ------
    PermissionError
        If they are handed out to some accounts only, and this is none of them.
    OSError
        If they cannot be downloaded or read.
    """
    try:
        yield
    except OSError as error:
        if _refused(error) or (gated and not _has_token()):
            raise PermissionError(_steps(encoder, weights)) from error
        raise OSError(_no_weights(encoder, weights, error)) from error


def _refused(error: BaseException | None) -> bool:
    """Whether the reason, or one behind it, is that the repository is gated."""
    while error is not None:
        if type(error).__name__ == "GatedRepoError" or "gated repo" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _steps(encoder: str, weights: str) -> str:
    return (
        f"the weights of encoder {encoder!r} are gated: (1) log in to huggingface.co, open https://{weights} and accept the "
        f"terms; (2) wait until access is granted, for some models days; (3) make a token that may read at {TOKENS}; "
        "(4) run `hf auth login` and paste it, or set HF_TOKEN. Without an account, color_texture and "
        "efficientnet-lite0 need none"
    )


def _no_weights(encoder: str, weights: str, error: OSError) -> str:
    reason = str(error).strip().partition("\n")[0]
    return (
        f"the weights of encoder {encoder!r} could not be loaded from {weights}: {type(error).__name__}: {reason} "
        f"Where a machine has no network, load them once on one that has and shares its home folder, "
        f'python -c "import spatialhist as sh; sh.nn.get_encoder({encoder!r})", and set HF_HUB_OFFLINE=1'
    )
