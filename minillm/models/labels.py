"""The names of a classifier's classes, as `id2label` in `config.json` keeps them."""

from collections.abc import Mapping


def label_table(id2label: Mapping) -> dict[int, str]:
    """{0: "negative", 1: "positive"} from a dict whose keys may be text, as JSON makes them.

    Raises ValueError unless the ids are 0 to C - 1, each with a name of its own.
    """
    if not isinstance(id2label, Mapping) or not id2label:
        raise ValueError(
            f"id2label={id2label!r:.80}, expected the names of the classes: {{0: 'no'}}"
        )
    try:
        table = {int(id): name for id, name in id2label.items()}
    except (TypeError, ValueError):
        raise ValueError(
            f"id2label: the keys {list(id2label)!r:.200} must be numbers 0, 1, ..."
        ) from None
    names = list(table.values())
    if sorted(table) != list(range(len(table))) or len(table) != len(id2label):
        raise ValueError(
            f"id2label: the ids {list(id2label)!r:.200} must be 0 to {len(id2label) - 1}"
        )
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"id2label: {names!r:.200} must be texts, each of them once")
    return {id: table[id] for id in range(len(table))}
