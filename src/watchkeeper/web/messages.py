"""Collects what readers see, checks its Russian, compiles it: `python -m watchkeeper.web.messages collect|check|compile`.

Needs no gettext program: Babel reads Python, Django's own `templatize` reads templates. Besides the usual calls it takes what is translated where
it is shown: labels of choices, values of enumerations, actions of the change log, constant sentences of errors, and the pages of risks and channels.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from watchkeeper import channels, risks
from watchkeeper.web.pages import paragraphs
from watchkeeper.web.schema_forms import label_of

PACKAGE = Path(__file__).parents[1]
LANGUAGE = "ru"
PO = PACKAGE / "locale" / LANGUAGE / "LC_MESSAGES" / "django.po"
SINGLE = {"_", "gettext", "gettext_lazy", "gettext_noop", "N_"}
PLURAL = {"ngettext", "ngettext_lazy"}
CHOICES = {"TextChoices", "IntegerChoices"}
ERRORS = {"InvalidInput", "NotFound", "NotAllowed", "Conflict", "Gone", "Unavailable", "TooLarge", "TooMany", "Unauthenticated"}
VALIDATED = {"risks", "channels"}  # packages whose ValueErrors stand beside fields
OUTSIDE = {"api", "cli", "client", "wire", "ingest"}  # answers to programs, in English
SKIPPED = {"migrations"}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{[^{}]*\}")
PLUGIN = re.compile(r"(risks|channels)/[a-z]\w*\.py")
HTML_TAG = re.compile(r"</?[a-z]+")
Found = tuple[str | tuple[str, str], str]  # a message (with its plural) and the file it is in


def collected() -> Catalog:
    """Every message of the platform, untranslated."""
    catalog = Catalog(locale=LANGUAGE, project="Watchkeeper", charset="utf-8")
    for message, where in sorted(_found(), key=lambda found: (found[1], str(found[0]))):
        if message and any(character.isalpha() for character in str(message)):
            catalog.add(message, locations=[(where, 0)])
    return catalog


def _found() -> Iterator[Found]:
    for path in sorted(PACKAGE.rglob("*")):
        where = path.relative_to(PACKAGE).as_posix()
        if SKIPPED & set(path.parts) or path.suffix not in (".py", ".html", ".txt") or (path.suffix != ".py" and "templates" not in path.parts):
            continue
        text = path.read_text(encoding="utf-8")
        source = text if path.suffix == ".py" else templatize(text)
        yield from ((message, where) for message in _called(source))
        if path.suffix == ".py":
            yield from ((message, where) for message in _shown(ast.parse(text), where.split("/")[0]))
    yield from _catalogue()


def _called(source: str) -> Iterator[str | tuple[str, str]]:
    """Arguments of gettext and its kin."""
    for _line, name, messages, _comments in extract_python(io.BytesIO(source.encode()), dict.fromkeys(SINGLE | PLURAL), [], {}):
        given = [messages] if isinstance(messages, str) else [message for message in messages or () if message]
        if name in PLURAL and len(given) >= 2:
            yield given[0], given[1]
        elif given and name in SINGLE:
            yield given[0]


def _shown(tree: ast.Module, package: str) -> Iterator[str]:
    """Constants that are translated where they are shown."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases}
            yield from _labels(node) if bases & CHOICES else _values(node) if "StrEnum" in bases else ()
        elif isinstance(node, ast.Call) and package not in OUTSIDE:
            yield from _arguments(node, getattr(node.func, "id", ""), package)


def _labels(choices: ast.ClassDef) -> Iterator[str]:
    for entry in choices.body:
        if isinstance(entry, ast.Assign) and isinstance(entry.value, ast.Tuple):
            yield from _texts(entry.value.elts[1])


def _values(enumeration: ast.ClassDef) -> Iterator[str]:
    for entry in enumeration.body:
        if isinstance(entry, ast.Assign):
            yield from _texts(entry.value)


def _arguments(call: ast.Call, name: str, package: str) -> Iterator[str]:
    if name in ("record", "_by_person"):
        yield from (text for keyword in call.keywords if keyword.arg in ("action", "on") for text in _texts(keyword.value))
    elif name in ERRORS:
        yield from (text for value in [*call.args[:1], *(k.value for k in call.keywords if k.arg == "remedy")] for text in _texts(value))
    elif name == "ValueError" and package in VALIDATED and call.args:
        yield from _texts(call.args[0])


def _texts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from _texts(value.body)
        yield from _texts(value.orelse)


def _catalogue() -> Iterator[Found]:
    """Titles, pages and field labels of the built-in risks and channels."""
    kinds = [(f"risks/{kind.key}.py", kind.title, kind.page, kind.params.model_fields) for kind in risks.catalogue().values()]
    kinds += [(f"channels/{kind.key}.py", kind.title, kind.page, kind.config.model_fields) for kind in channels.catalogue().values()]
    for where, title, page, fields in kinds:
        if (PACKAGE / where).exists():
            yield from ((text, where) for text in (title, *paragraphs(page), *map(label_of, fields)))


def stored() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file, locale=LANGUAGE)


def collect() -> int:
    """Bring the .po in step: what is translated stays, what is new is empty, what is gone goes."""
    wanted = collected()
    known = stored() if PO.exists() else Catalog(locale=LANGUAGE)
    for message in wanted:
        earlier = known.get(message.id) if message.id else None
        if earlier and type(earlier.string) is type(message.string or earlier.string):
            message.string = earlier.string
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, wanted, width=120, include_lineno=False, sort_by_file=True, omit_header=False, ignore_obsolete=True)
    return 0


def missing(wanted: list[Message], known: Catalog) -> list[Message]:
    """What has no Russian: it is shown in English."""
    return [message for message in wanted if not _texts_of(known.get(message.id))]


def is_of_plugins(message: Message) -> bool:
    """Said by files of risks and channels only: a new one needs no other file, so its Russian may come later."""
    return all(PLUGIN.fullmatch(where) for where, _line in message.locations)


def _texts_of(found: Message | None) -> list[str]:
    """All forms of a translation; none when one of them is missing."""
    texts = _forms(found.string) if found else []
    return texts if all(texts) else []


def _problems(wanted: Message, found: Message | None) -> Iterator[str]:
    texts = _texts_of(found)
    if not texts:
        return
    ids = _forms(wanted.id)
    if len(ids) > 1 and len(texts) != 3:
        yield f"needs three plural forms: {wanted.id!r}"
    for text in texts:
        if _marks(text) != _marks(ids[-1]):
            yield f"placeholders or tags differ: {ids[-1]!r} and {text!r}"


def _forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def _marks(text: str) -> tuple[list[str], list[str]]:
    return sorted(set(PLACEHOLDER.findall(text))), sorted(HTML_TAG.findall(text))


def check(known: Catalog | None = None) -> int:
    """Says what is wrong in the Russian and what is missing; 1 when that is more than the texts of plugins."""
    known = known or stored()
    wanted = [message for message in collected() if message.id]
    untranslated = missing(wanted, known)
    warnings = [f"warning, shown in English: {message.id!r}" for message in untranslated if is_of_plugins(message)]
    faults = [f"not translated: {message.id!r}" for message in untranslated if not is_of_plugins(message)]
    faults += [problem for message in wanted for problem in _problems(message, known.get(message.id))]
    sys.stderr.write("".join(f"{line}\n" for line in (*warnings, *faults)))
    return 1 if faults else 0


def compile_messages() -> int:
    """The .mo that Django reads; made at installation, never committed."""
    with PO.with_suffix(".mo").open("wb") as file:
        write_mo(file, stored())
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m watchkeeper.web.messages", description="Collect, check and compile the translations.")
    parser.add_argument("action", choices=("collect", "check", "compile"))
    return {"collect": collect, "check": check, "compile": compile_messages}[parser.parse_args(arguments).action]()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
