"""What every lesson begins with: its options, its words on the screen, its errors in one line."""

import argparse
import os
import shlex
import signal
import sys
import textwrap
from pathlib import Path

from minillm.backend import get_device
from minillm.data import (
    Corpus,
    Documents,
    embedded_labelled_reviews,
    embedded_reviews,
    open_corpus,
    open_labelled,
    stratified_sample,
    train_test_split,
)
from minillm.files import TEMPORARY_PREFIX, remove_leftovers


def arguments(name: str, description: str, add_options=None) -> argparse.Namespace:
    """The options that every lesson shares, and a lesson's own from `add_options(parser)`.

    In a notebook there is no command line: the environment variable MINILLM_OPTIONS stands for it
    (`MINILLM_OPTIONS="--quick" jupyter lab`); without it every option has its default.
    Errors that a user can mend end the program with one line instead of a traceback (which
    MINILLM_TRACEBACK=1 brings back).
    """
    parser = argparse.ArgumentParser(prog=f"python lessons/{name}.py", description=description)
    parser.add_argument("--quick", action="store_true", help="the same lesson in seconds")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where to compute")
    parser.add_argument("--seed", type=_natural, default=0, help="of everything random")
    parser.add_argument("--out", type=Path, default=Path("runs") / name, help="folder for results")
    parser.add_argument(
        "--data", type=Path, help="your own texts: a file or a folder, as the README says"
    )
    parser.add_argument(
        "--replace-invalid",
        dest="errors",
        action="store_const",
        const="replace",
        default="strict",
        help="read U+FFFD for what isn't UTF-8 in your texts, instead of stopping there",
    )
    if add_options is not None:
        add_options(parser)
    words = shlex.split(os.environ.get("MINILLM_OPTIONS", "")) if _in_notebook() else None
    if not _in_notebook() and not os.environ.get("MINILLM_TRACEBACK"):
        sys.excepthook = _one_line
    options = parser.parse_args(words)
    get_device(options.device)  # without a GPU that is an error now, not after a minute's work
    _check_writable(options.out)
    return options


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative, expected 0 or more")
    return value


def positive(text: str) -> int:
    """An argparse type: an integer from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive, expected 1 or more")
    return value


def number_or_all(text: str) -> int | None:
    """An argparse type: an integer from 1, or None for "all"."""
    return None if text == "all" else positive(text)


def some_texts(options: argparse.Namespace) -> Corpus:
    """The user's texts (--data), or the film reviews; without their package Python's help."""
    if options.data:
        return open_corpus(options.data, errors=options.errors)
    try:
        return embedded_reviews()
    except ModuleNotFoundError as error:
        from pydoc_data.topics import topics

        say(f"Note: {error}. This run reads the help pages of Python itself.")
        return Documents(topics.values(), "the help pages of Python")


def labelled_options(parser: argparse.ArgumentParser) -> None:
    """What lessons about labelled texts need to know of a user's own (--data)."""
    parser.add_argument("--test-data", type=Path, help="texts to judge by; else a fifth of --data")
    parser.add_argument("--text-field", default="text", help="the column that holds the text")
    parser.add_argument("--label-field", default="label", help="the column that holds the label")


def labelled_data(options: argparse.Namespace, limit: int | None = None):
    """The labelled texts of a lesson, (training, test), and a sentence about how they were split.

    By default the embedded film reviews, four fifths and one fifth.  limit: so many texts at most.
    """
    if options.test_data is not None and options.data is None:
        raise ValueError("--test-data needs --data, the texts to train on")
    fields = options.text_field, options.label_field
    errors = options.errors
    if options.data:
        data = open_labelled(options.data, *fields, errors=errors)
    else:
        data = embedded_labelled_reviews()
    if limit is not None and limit < len(data):
        data = stratified_sample(data, limit, options.seed)
    if options.test_data is not None:
        test = open_labelled(options.test_data, *fields, data.label_names, errors=errors)
        return data, test, f"Training texts: {options.data}. Test texts: {options.test_data}."
    training, test = train_test_split(data, 0.2, seed=options.seed, groups=data.text_groups())
    how = (
        f"{data.name}: four fifths to train on, one fifth to judge by, split at random within "
        f"each class (seed {options.seed}); equal texts stay on one side."
    )
    return training, test, how


def _check_writable(folder: Path) -> None:
    """Find out before the work begins, not after ten minutes, whether results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, *folder.glob("*/"), *folder.glob("*/*/")):
            remove_leftovers(place)  # of a run that was killed
        probe = folder / f"{TEMPORARY_PREFIX}probe"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"results can't be written into {str(folder)!r} ({error.strerror}): choose another "
            "folder with --out"
        ) from error


def _one_line(kind, error, traceback) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(f"\n{error or 'stopped.'}", file=sys.stderr)
        raise SystemExit(128 + getattr(error, "signal", signal.SIGINT))  # as shells expect it
    elif issubclass(kind, (OSError, ValueError, RuntimeError, IndexError, ImportError)):
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    else:  # our own mistake: show where
        sys.__excepthook__(kind, error, traceback)


def say(text: str) -> None:
    """Print a paragraph, wrapped to the width of a page."""
    print("\n" + textwrap.fill(" ".join(text.split()), 96))


def pictures(*paths: str | os.PathLike) -> None:
    """Say where pictures (PNG or SVG) were saved; in a notebook, show them as well."""
    print("\nPictures: " + ", ".join(map(str, paths)))
    if _in_notebook():
        from IPython.display import SVG, Image, display

        for path in map(str, paths):
            display(SVG(path) if path.endswith(".svg") else Image(path))


def table(rows: list[tuple], header: tuple) -> None:
    """Print rows in aligned columns: numbers to the right, words to the left."""
    cells = [[str(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numeric = [all(_is_number(row[i]) for row in cells[1:]) for i in range(len(header))]

    def line(row):
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()

    print()
    print(line(cells[0]))
    print("  ".join("-" * width for width in widths))
    for row in cells[1:]:
        print(line(row))


def _is_number(cell: str) -> bool:
    return not cell.strip("0123456789.,+-% ") if cell.strip() else True
