"""`./lab run python -m website`: the documentation as a site, in .lab/website/html.

Every link of every page is checked: those within a language by the generator (its --strict), those
to the other language and to files of the repository when they are rewritten (website/pages.py).
"""

from __future__ import annotations

import json
import shutil
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

from website import modules
from website.pages import LANGUAGES, REPOSITORY, ROOT, LinkError, Links, pages, title

HERE = Path(__file__).resolve().parent
BUILD = ROOT / ".lab" / "website"
OUTPUT = BUILD / "html"
URL = "https://labstack.github.io/labstack/"
WORDS = {
    "en": {
        "description": "From a bare Ubuntu host to a web application with full observability",
        "automatic": "Light or dark as your system has it",
        "light": "Light",
        "dark": "Dark",
        "Start": "Start",
        "Use it": "Use it",
        "How it works": "How it works",
        "Roles": "Roles",
        "Modules": "Modules and plugins",
        "Decisions": "Decisions",
    },
    "es": {
        "description": "De un host Ubuntu vacío a una aplicación web vigilada por completo",
        "automatic": "Claro u oscuro, como su sistema",
        "light": "Claro",
        "dark": "Oscuro",
        "Start": "Inicio",
        "Use it": "Usarlo",
        "How it works": "Cómo funciona",
    },
}
# What a reader needs first stands first; every other page of docs/ follows by its name.
FIRST = (
    "where",
    "guide",
    "your-application",
    "commands",
    "operations",
    "backup",
    "troubleshooting",
)
INSIDE = ("architecture", "style", "contributing", "security", "changelog", "application")


def navigation(texts: dict[str, str], language: str) -> list[dict[str, Any]]:
    """Returns the navigation of a language's pages, given by their paths and texts."""
    words = WORDS[language]

    def entry(path: str) -> dict[str, str]:
        return {title(texts[path]) or path: path}

    top = sorted(path for path in texts if "/" not in path and path != "index.md")
    inside = [path for path in top if path.removesuffix(".md") in INSIDE]
    order = {name: place for place, name in enumerate(FIRST)}
    use = sorted(
        (path for path in top if path not in inside),
        key=lambda path: (order.get(path.removesuffix(".md"), len(order)), path),
    )
    nav: list[dict[str, Any]] = [
        {words["Start"]: "index.md"},
        {words["Use it"]: [entry(path) for path in use]},
    ]
    if inside:
        nav.append({words["How it works"]: [entry(path) for path in inside]})
    for folder, name in (("roles", "Roles"), ("modules", "Modules"), ("decisions", "Decisions")):
        below = sorted(path for path in texts if path.startswith(f"{folder}/"))
        below.sort(key=lambda path: not path.endswith("index.md"))
        if below:
            nav.append({words[name]: [entry(path) for path in below]})
    return nav


def toml(value: Any) -> str:
    """Returns a value of lists, tables and texts as TOML writes it in one line."""
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def stage() -> dict[str, dict[str, str]]:
    """Returns the text of every page by language and path. Raises LinkError."""
    links = Links(pages())
    texts: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for file, page in links.known.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        texts[page.language][page.path] = links.rewrite(file, text)
    found = modules.documentation()
    texts["en"]["modules/index.md"] = modules.index(found)
    for name, said in found.items():
        texts["en"][f"modules/{name.rpartition('.')[2]}.md"] = modules.page(name, said)
    return texts


def build(language: str, texts: dict[str, str]) -> None:
    """Builds the part of the site that is in one language. Raises CalledProcessError."""
    place = BUILD / language
    for path, text in texts.items():
        file = place / "docs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    shutil.copytree(HERE / "assets", place / "docs" / "assets")
    shutil.copytree(ROOT / "docs" / "pictures", place / "docs" / "assets", dirs_exist_ok=True)
    words = WORDS[language]
    values = {name: toml(words[name]) for name in ("description", "automatic", "light", "dark")}
    config = string.Template((HERE / "zensical.toml").read_text(encoding="utf-8")).substitute(
        values,
        language=language,
        url=toml(URL if language == "en" else f"{URL}{language}/"),
        repository=REPOSITORY,
        output=toml("out"),
        nav=toml(navigation(texts, language)),
        copyright=toml("MIT"),
        english=toml("./" if language == "en" else "../"),
        spanish=toml("es/" if language == "en" else "./"),
    )
    (place / "zensical.toml").write_text(config, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=place, check=True
    )
    shutil.copytree(place / "out", OUTPUT if language == "en" else OUTPUT / language)


def main() -> int:
    """Builds the whole site; returns the exit status."""
    shutil.rmtree(BUILD, ignore_errors=True)
    try:
        texts = stage()
        for language in LANGUAGES:
            build(language, texts[language])
    except LinkError as error:
        print(f"website: a link leads nowhere: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"website: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        return 1
    print(f"website: {sum(map(len, texts.values()))} pages in {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
