"""What configs check alike: a config.json may come from anywhere, and say anything."""

import math


def check_sizes(config, *names: str) -> None:
    """ValueError unless these fields are positive integers."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _error(config, name, "a positive integer")


def check_rates(config, *names: str) -> None:
    """ValueError unless these fields, dropout probabilities, lie in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not _is_number(value) or not 0 <= value < 1:
            raise _error(config, name, "a number in [0, 1)")


def check_scales(config, *names: str) -> None:
    """ValueError unless these fields are finite numbers from 0 on."""
    for name in names:
        value = getattr(config, name)
        if not _is_number(value) or not 0 <= value < math.inf:
            raise _error(config, name, "a number that isn't negative")


def check_switches(config, *names: str) -> None:
    """ValueError unless these fields are True or False."""
    for name in names:
        if not isinstance(getattr(config, name), bool):
            raise _error(config, name, "true or false")


def check_field(config, name: str, allowed) -> None:
    """ValueError unless the field is one of `allowed`."""
    value = getattr(config, name)
    if not isinstance(value, str) or value not in allowed:
        choices = ", ".join(map(str, allowed))
        raise _error(config, name, choices if len(allowed) == 1 else f"one of {choices}")


def check_token_ids(config) -> None:
    """ValueError unless the special tokens are None, an id, or (the end of text) several ids.

    An id outside the vocabulary is allowed: files of small models often carry the large model's.
    """
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = getattr(config, name)
        ids = value if isinstance(value, list) and name == "eos_token_id" else [value]
        for token in ids:
            if token is not None and (not isinstance(token, int) or isinstance(token, bool)):
                raise _error(config, name, "an integer or None")


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error(config, name: str, expected: str) -> ValueError:
    kind = type(config).__name__
    return ValueError(f"{kind}: {name}={getattr(config, name)!r:.80}, expected {expected}")
