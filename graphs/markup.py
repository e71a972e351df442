"""Reads what stands at one place of a web page: once through, in time that grows with its length and no faster.

Whoever writes the page may want to be expensive, and the parsers at hand take minutes for half a megabyte of `<a `.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.text import unescaped

_TAG = re.compile(r"""<(/?)([a-zA-Z][\w:-]{0,40})((?:[^<>"']|"[^"<]*"|'[^'<]*'){0,3000})>""")
_ATTRIBUTE = re.compile(r"""([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_PART = re.compile(r"^[\w-]+|[.#][\w-]+|\[[\w-]+(?:=[^\]]*)?\]")
_EMPTY = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
#: What stands inside of these is no markup.
_RAW = frozenset({"script", "style", "textarea", "title", "noscript"})
#: Elements that lie deeper are read as if they lay here.
_DEEPEST = 100
#: Whoever has so many prices at one place has not one.
_MOST_CAUGHT = 20


@dataclass(frozen=True)
class Element:
    """One element with its attributes."""

    tag: str
    attributes: Mapping[str, str]

    def fits(self, parts: Sequence[str]) -> bool:
        """True when it is what one step of a selector says (`span.price.now`, `#main`, `[itemprop=price]`)."""
        return bool(parts) and all(self._is(part) for part in parts)

    def _is(self, part: str) -> bool:
        match part[0]:
            case ".":
                return part[1:] in self.attributes.get("class", "").split()
            case "#":
                return part[1:] == self.attributes.get("id")
            case "[":
                name, has_value, value = part[1:-1].partition("=")
                return name in self.attributes and (not has_value or self.attributes[name] == value.strip("\"'"))
            case _:
                return part.casefold() == self.tag


@dataclass
class _Caught:
    depth: int
    texts: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return " ".join("".join(self.texts).split())


def texts_at(page: str, selector: str) -> list[str]:
    """The texts of the elements that `selector` names: parts such as `div#main span.price`, each inside the last."""
    return _Reader([_parts_of(step) for step in selector.split()]).read(page)


def _parts_of(step: str) -> list[str]:
    """The parts of one step of a selector; none where it is not one that is understood here."""
    parts = _PART.findall(step)
    return parts if "".join(parts) == step else []


def scripts_of(page: str, kind: str) -> list[str]:
    """What stands in the page's scripts of this type."""
    return [text for element, text in _raws(page) if element.tag == "script" and element.attributes.get("type") == kind]


def _raws(page: str) -> Iterator[tuple[Element, str]]:
    for kind, element, text in _tokens(page):
        if kind == "raw" and element is not None:
            yield element, text


def _tokens(page: str) -> Iterator[tuple[str, Element | None, str]]:
    """`begin` and `end` of elements, `raw` for one whose content is no markup, and `text` between them."""
    place = 0
    while place < len(page):
        start = page.find("<", place)
        if start != place:
            yield "text", None, page[place : start if start >= 0 else len(page)]
        if start < 0:
            return
        if page.startswith("<!--", start):
            end = page.find("-->", start)
            place = len(page) if end < 0 else end + 3
            continue
        found = _TAG.match(page, start)
        if found is None:
            place = start + 1
            continue
        place = found.end()
        element = Element(found[2].casefold(), {} if found[1] else _attributes(found[3]))
        if found[1]:
            yield "end", element, ""
        elif element.tag in _RAW:
            content, place = _raw_content(page, element.tag, place)
            yield "raw", element, content
        else:
            yield "begin", element, ""


def _raw_content(page: str, tag: str, place: int) -> tuple[str, int]:
    """What stands up to the end of this element; without an end, it is the rest of the page."""
    end = page.find(f"</{tag}", place)
    close = page.find(">", end) if end >= 0 else -1
    return page[place : end if end >= 0 else len(page)], close + 1 if close >= 0 else len(page)


def _attributes(text: str) -> dict[str, str]:
    found = _ATTRIBUTE.findall(text)
    return {name.casefold(): unescaped(first or second or third) for name, first, second, third in found}


class _Reader:
    def __init__(self, steps: list[list[str]]) -> None:
        self._steps = steps
        self._open: list[str] = []
        # For each open element: how many steps of the selector it and those around it have met, in their order.
        self._met: list[int] = []
        self._catching: list[_Caught] = []
        self._found: list[str] = []

    def read(self, page: str) -> list[str]:
        for kind, element, text in _tokens(page):
            if kind == "begin" and element is not None:
                self._begin(element)
            elif kind == "end" and element is not None:
                self._end(element.tag)
            elif kind == "text" and self._catching:
                for caught in self._catching:
                    caught.texts.append(unescaped(text))
            if len(self._found) + len(self._catching) >= _MOST_CAUGHT:
                break
        return [text for text in [*self._found, *map(str, self._catching)] if text]

    def _begin(self, element: Element) -> None:
        above = self._met[-1] if self._met else 0
        last = len(self._steps) - 1
        if above >= last and self._steps and element.fits(self._steps[last]):
            if element.tag in _EMPTY:
                self._found.append(element.attributes.get("content", element.attributes.get("value", "")))
            else:
                self._catching.append(_Caught(len(self._open)))
        if element.tag not in _EMPTY and len(self._open) < _DEEPEST:
            meets = above < last and element.fits(self._steps[above])
            self._open.append(element.tag)
            self._met.append(above + meets)

    def _end(self, tag: str) -> None:
        """An element ends, and with it what was left open inside."""
        place = next((place for place in range(len(self._open) - 1, -1, -1) if self._open[place] == tag), None)
        if place is None:
            return
        del self._open[place:], self._met[place:]
        while self._catching and self._catching[-1].depth >= place:
            self._found.append(str(self._catching.pop()))
