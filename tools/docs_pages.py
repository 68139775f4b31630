"""The pages of docs/ as a site's generator takes them: links and anchors led to where it puts things, lists and blocks as it reads them."""
import os
import pathlib
import re
import shutil

from openapi_page import openapi_page

ELSEWHERE = "repository"  # what pages link to outside of docs/
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]*)(?:#([^)\s]*))?\)")
ITEM = re.compile(r"( *)([-*+]|\d+[.)])( +)(.*)")


def without_code(text):
    """The text with fenced blocks and code in lines blanked, of the same length."""
    return re.sub(r"```.*?```|`[^`\n]*`", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def headings(text):
    """The words of each heading, in order."""
    found = re.findall(r"^#+ +(.*?) *#*$", re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M), flags=re.M)
    return [re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in found]


def _numbered(slugs, joint):
    seen, result = {}, []
    for slug in slugs:
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        result.append(f"{slug}{joint}{count}" if count else slug)
    return result


def anchors(text):
    """What headings are called in the links of these pages."""
    return _numbered([re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings(text)], "-")


def site_anchors(text):
    """What the generator calls them."""
    from markdown.extensions.toc import slugify  # pylint: disable=import-outside-toplevel

    return _numbered([slugify(heading, "-") for heading in headings(text)], "_")


def links(text):
    """(target, anchor) of each link that is not to another machine."""
    return [(target, anchor) for _, target, anchor in LINK.findall(without_code(text)) if ":" not in target]


class _Lists:
    """The generator wants four columns for each level of a list, and an empty line before one and before a table."""

    def __init__(self):
        self.levels = []  # at which column the text of an item begins
        self.fence = ""
        self.before = ""

    def _shifted(self, line):
        base = self.levels[-1] if self.levels else 0
        return " " * 4 * len(self.levels) + line[min(base, len(line) - len(line.lstrip())) :]

    def _item(self, match):
        indent = len(match[1])
        was_in_list = bool(self.levels)
        while self.levels and indent < self.levels[-1]:
            self.levels.pop()
        gap = [""] if self.before and not was_in_list else []
        line = " " * 4 * len(self.levels) + match[2].ljust(3) + " " + match[4]
        self.levels.append(indent + len(match[2]) + len(match[3]))
        return [*gap, line]

    def _text(self, line):
        indent = len(line) - len(line.lstrip())
        if not self.before or line.lstrip().startswith(("```", "|", "#")):
            while self.levels and indent < self.levels[-1]:
                self.levels.pop()
        if line.lstrip().startswith("```"):
            self.fence = line.strip()[:3]
        gap = self.before and line.lstrip().startswith(("|", "```")) and self.before.lstrip()[:1] != line.lstrip()[:1]
        return [*([""] if gap else []), self._shifted(line)]

    def take(self, line):
        """The lines in the place of this one."""
        if self.fence:
            made = [self._shifted(line)]
            if line.strip() == self.fence:
                self.fence = line = ""  # what follows goes on with no paragraph
        elif not line.strip():
            made = [""]
        else:
            match = ITEM.fullmatch(line)
            made = self._item(match) if match else self._text(line)
        self.before = "" if not line.strip() else line
        return made


def spread(text):
    """Text whose lists and tables the generator reads as they are meant."""
    lists = _Lists()
    return "\n".join(made for line in text.split("\n") for made in lists.take(line))


class Stage:
    """Copies pages, and all that they link to, into one directory."""

    def __init__(self, root, out):
        self.root = root
        self.out = out
        self.waiting = []
        self.placed = {}

    def place(self, path):
        """Where a file of the tree is on the site; it is put there."""
        path = pathlib.Path(os.path.normpath(path))
        if path not in self.placed:
            name = path.relative_to(self.root).as_posix()
            inside = name.removeprefix("docs/")
            self.placed[path] = "index.md" if name == "docs/README.md" else inside if inside != name else f"{ELSEWHERE}/{name}"
            self.waiting.append(path)
        return self.placed[path]

    def _link(self, page, match):
        words, target, anchor = match.groups()
        if ":" in target:
            return match[0]
        path = page.parent / target if target else page
        if not path.is_file():
            return words.strip("[]")
        if path == self.root / "docs/openapi.yaml":
            return f"{words}({os.path.relpath('api.md', os.path.dirname(self.placed[page]) or '.')})"
        place = self.place(path)
        if anchor:
            text = path.read_text()
            anchor = dict(zip(anchors(text), site_anchors(text)))[anchor]
        where = "" if path == page else os.path.relpath(place, os.path.dirname(self.placed[page]) or ".")
        return f"{words}({where}{'#' + anchor if anchor else ''})"

    def _page(self, path):
        text = path.read_text()
        text = re.sub(r"^ *<!-- (?:not )?runnable:.*?-->\n", "", text, flags=re.M | re.S)
        blank = without_code(text)
        made, end = [], 0
        for match in LINK.finditer(text):
            if blank[match.start()] == " ":
                continue
            made += [text[end : match.start()], self._link(path, match)]
            end = match.end()
        return spread("".join([*made, text[end:]]))

    def run(self, pages, document):
        """All pages, what they link to, and the API's."""
        shutil.rmtree(self.out, ignore_errors=True)
        for page in pages:
            self.place(page)
        while self.waiting:
            path = self.waiting.pop()
            to = self.out / self.placed[path]
            to.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                to.write_text(self._page(path))
            else:
                shutil.copyfile(path, to)
        (self.out / "api.md").write_text(openapi_page(document))
