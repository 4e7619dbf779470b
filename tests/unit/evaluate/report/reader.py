"""A page as a reader gets it."""

from html.parser import HTMLParser

_VOID = {"meta", "col", "br"}
_BLOCKS = {"article", "dd", "div", "dt", "li", "p", "small", "td", "th"}


class Page(HTMLParser):
    """Visible text, table rows, headings, marks, and every tag with its attributes; every element has to be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.headings: list[str] = []
        self.marks: dict[str, list[str]] = {}
        self.cases: list[str] = []
        self._mark = ""
        self.feed(html)
        self.close()
        assert self.open == []
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        self.headings = [" ".join(heading.split()) for heading in self.headings]
        self.cases = [" ".join(case.split()) for case in self.cases]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("h1", "h2", "h3"):
            self.headings.append("")
        elif tag == "article":
            self.cases.append("")
        elif tag == "mark":
            self._mark = self.tags[-1][1]["class"]
            self.marks.setdefault(self._mark, []).append("")
        if tag in _BLOCKS:
            self.handle_data(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        inside = set(self.open)
        if inside & {"style", "title"}:
            return
        self.words.append(data)
        if inside & {"td", "th"}:
            self.rows[-1][-1] += data
        if inside & {"h1", "h2", "h3"}:
            self.headings[-1] += data
        if "article" in inside:
            self.cases[-1] += data
        if "mark" in inside:
            self.marks[self._mark][-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def rows_with(self, *cells: str) -> list[list[str]]:
        """Rows that have each of these cells."""
        return [
            row for row in self.rows if all(any(c == cell or c.startswith(f"{cell} ") for c in row) for cell in cells)
        ]

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]
