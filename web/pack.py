"""Joins a module of the client with those that it imports: one file, one request, no comments and no indentation.

It knows the few forms that the modules in client/ keep to, and raises ValueError for any other:

- `import { a, b } from "./x.js";` and `export { a } from "./x.js";`, without new names, and nothing else imported;
- `export` ahead of a declaration;
- a comment has its own lines, or ends a line without a quotation mark in it;
- a name at the top level is that of one module alone;
- no text depends on the indentation of its lines, or on how a line ends ahead of a closing bracket.
"""

import re
from pathlib import Path

_FROM = re.compile(r'^(import|export) \{(\s*\w+(?:,\s*\w+)*,?\s*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|let|class) (\w+))", re.MULTILINE)
_DECLARED = re.compile(r"^(?:async function|function|const|let|class) (\w+)", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:(?!\*/)[\s\S])*\*/)\n", re.MULTILINE)
_TRAILING_COMMENT = re.compile(r"(?<=[;,{}()]) // [^\"'`\n]*$", re.MULTILINE)
_BLANKS = re.compile(r"\n\s+")
# What ends a line ahead of a closing bracket, and is not needed there.
_ENDS = re.compile(r";\n(?=\})|,?\n(?=[}\])])")
_NEWLINE = "\n"


def packed(entry: Path) -> bytes:
    """The module at `entry` with all that it imports, directly or not. It exports what `entry` does."""
    parts: dict[Path, str] = {}
    exported = _add(entry, parts)
    text = "".join(parts.values())
    names = _DECLARED.findall(text)
    if len(names) != len(set(names)):
        raise ValueError(f"two modules of {entry.name} have the name {max(names, key=names.count)}")
    return f"{_ENDS.sub('', _BLANKS.sub(_NEWLINE, text))}export {{ {', '.join(exported)} }};\n".encode()


def _add(path: Path, parts: dict[Path, str]) -> list[str]:
    """Put the module into `parts`, behind those that it imports; returns what it exports."""
    text = _TRAILING_COMMENT.sub("", _COMMENT.sub("", path.read_text()))
    exported = _EXPORT.findall(text)
    parts[path] = ""  # modules that import each other come in any order: none runs code of another as it is loaded
    for kind, names, file in _FROM.findall(text):
        if path.parent / file not in parts:
            _add(path.parent / file, parts)
        if kind == "export":
            exported += re.findall(r"\w+", names)
    text = _EXPORT.sub("", _FROM.sub("", text))
    if unknown := _UNKNOWN.search(text):
        raise ValueError(f"{path.name}: {unknown.group()}")
    del parts[path]
    parts[path] = text
    return exported
