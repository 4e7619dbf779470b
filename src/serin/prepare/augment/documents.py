"""Text and Markdown files, cut into passages that a model can be asked about."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serin.core.errors import InputError

_SUFFIXES = (".txt", ".md")
_EXPECTED = "expected UTF-8 text files (.txt or .md), folders or globs of them; edit prepare.augment.documents"
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
_HEADING = re.compile(r"#{1,6}[ \t]")
# After what ends a sentence: a full stop counts only before white space, since "3.5" and "example.com" go on.
_SENTENCES = re.compile(r"(?<=[。！？；\n])|(?<=[.!?;])(?=\s)|(?<=[.!?][\"'”’)])(?=\s)")
_BLANK = re.compile(r"\s")
_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Document:
    """A file, and the name that says which one in records: without the folders above the one that was named."""

    path: Path
    name: str


def find_documents(named: Sequence[str]) -> list[Document]:
    """The files that are named, each once, in an order that depends on the names alone.

    Raises:
        InputError: a name that leads to no file, or to one that is neither text nor Markdown.
    """
    found: dict[Path, str] = {}
    for name in named:
        listed = _listed(name)
        if not listed:
            raise InputError(f"{name} holds no document: {_EXPECTED}")
        for path, short in listed:
            if path.suffix.lower() not in _SUFFIXES:
                raise InputError(f"{path} is of an unknown kind: {_EXPECTED}")
            found.setdefault(path, short)
    shorts = list(found.values())
    return [
        Document(path, short if shorts.count(short) == 1 else path.as_posix().lstrip("/"))
        for path, short in found.items()
    ]


def read_passages(document: Document, longest: int) -> Iterator[tuple[str, str]]:
    """Yield ``name:number`` and text of each passage, of at most ``longest`` characters.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        text = document.path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{document.path} cannot be read ({error.strerror}): check the file and its rights") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{document.path} is not UTF-8 (byte {error.start}): {_EXPECTED}") from error
    for number, passage in enumerate(cut(text, longest), 1):
        yield f"{document.name}:{number}", passage


def cut(text: str, longest: int) -> list[str]:
    """Passages of at most ``longest`` characters, cut between paragraphs where that goes; no character but white space is lost.

    A heading goes with what follows it. A longer paragraph is cut between sentences, a longer sentence at a blank, and what
    has none where it must be.
    """
    passages: list[str] = []
    for block in _blocks(text.replace("\r\n", "\n").replace("\r", "\n")):
        if passages and len(passages[-1]) + len(_BETWEEN) + len(block) <= longest:
            passages[-1] += _BETWEEN + block
        else:
            passages += [block] if len(block) <= longest else _cut_block(block, longest)
    return passages


def _listed(name: str) -> list[tuple[Path, str]]:
    root = Path(name)
    if root.is_dir():
        inside = [(path, path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]
        return [
            (path, short.as_posix())
            for path, short in inside
            if path.suffix.lower() in _SUFFIXES and not any(part.startswith(".") for part in short.parts)
        ]
    if root.is_file():
        return [(root, root.name)]
    paths = [Path(path) for path in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - Path.glob refuses absolute patterns
    return [(path, path.name) for path in paths if path.is_file()]


def _blocks(text: str) -> list[str]:
    """Paragraphs, each with the headings just before it."""
    blocks: list[str] = []
    after_heading = False
    for paragraph in filter(None, (part.strip() for part in _PARAGRAPHS.split(text))):
        if after_heading:
            blocks[-1] += _BETWEEN + paragraph
        else:
            blocks.append(paragraph)
        after_heading = _HEADING.match(paragraph) is not None and "\n" not in paragraph
    return blocks


def _cut_block(block: str, longest: int) -> list[str]:
    pieces: list[str] = []
    open_ = ""
    for sentence in _SENTENCES.split(block):
        if len((open_ + sentence).strip()) <= longest:
            open_ += sentence
            continue
        pieces.append(open_)
        open_ = sentence
        while len(open_.strip()) > longest:
            open_ = open_.strip()
            blanks = [blank.start() for blank in _BLANK.finditer(open_, longest // 2, longest + 1)]
            at = blanks[-1] if blanks else longest
            pieces.append(open_[:at])
            open_ = open_[at:]
    return [piece for piece in (part.strip() for part in [*pieces, open_]) if piece]
