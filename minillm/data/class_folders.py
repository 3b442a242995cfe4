"""Labelled examples from folders: a folder for each class, a text file for each example.

    reviews/
      negative/  1.txt  2.txt ...
      positive/  1.txt  2.txt ...

This is also the layout of aclImdb (Maas et al. 2011): train/ and test/ with the classes `pos` and
`neg`, and reviews without a label in `unsup` (left out here).  `urls_pos.txt` has the page of the
film that each review is about, by the number that the review's file name begins with.
"""

from collections.abc import Iterator
from pathlib import Path

from minillm.data.corpus import TEXT_SUFFIXES
from minillm.data.tables import Example
from minillm.data.textfile import check_text_file, read_lines
from minillm.foreign_files import refuse_escape

WITHOUT_LABEL = "unsup"


def read_class_folders(folder: Path, errors: str = "strict") -> Iterator[Example]:
    """Yield the examples of all classes; classes and files in the order of their names.

    Of a folder whose subfolder `train` holds class folders (aclImdb itself), `train` is read.
    An example's group is its film, where the folder tells (`urls_<class>.txt`).
    Raises ValueError, naming the folder or file, where there are no class folders, where one of
    them holds no text file, and for a text file that is empty or not UTF-8.
    """
    train = folder / "train"
    if train.is_dir() and any(_text_files(subfolder) for subfolder in _class_folders(train)):
        folder = train
    classes = _class_folders(folder)
    if not classes:
        raise ValueError(
            f"the folder {str(folder)!r} has no subfolders: a subfolder for each class was "
            "expected, with a text file for each example, such as positive/1.txt"
        )
    for subfolder in classes:
        refuse_escape(subfolder, folder)
        files = _text_files(subfolder)
        if not files:
            raise ValueError(
                f"there is no text file in {str(subfolder)!r}: each subfolder of "
                f"{str(folder)!r} is a class, with files that end in {', '.join(TEXT_SUFFIXES)}"
            )
        films = _films(folder / f"urls_{subfolder.name}.txt", errors)
        for path in files:
            refuse_escape(path, folder)
            check_text_file(path, errors)
            text = "\n".join(line for _, line in read_lines(path, errors))
            number = path.name.partition("_")[0]
            yield Example(repr(str(path)), text, subfolder.name, films.get(number))


def _class_folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name != WITHOUT_LABEL and not path.name.startswith(".")
    )


def _text_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().removesuffix(".gz").endswith(TEXT_SUFFIXES)
        and not path.name.startswith(".")
        and path.is_file()
    )


def _films(path: Path, errors: str) -> dict[str, str]:
    """Review number (from 0, as text) -> the film's page; empty if there is no such file."""
    if not path.is_file():
        return {}
    return {str(number - 1): url.strip() for number, url in read_lines(path, errors)}
