"""Modules that are joined into one."""

from pathlib import Path

import pytest

from web.pack import packed

A = 'import { b } from "./b.js";\nexport function a() {}\n'


def put(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder / "a.js"


def test_a_module_comes_behind_those_that_it_imports(tmp_path: Path) -> None:
    entry = put(tmp_path, a=A, b='import { c } from "./c.js";\nexport const b = c;\n', c="export const c = 1;\n")
    assert packed(entry) == b"const c = 1;\nconst b = c;\nfunction a() {}\nexport { a };\n"


def test_a_module_that_two_import_comes_once(tmp_path: Path) -> None:
    a = 'import { b } from "./b.js";\nimport { c } from "./c.js";\n'
    entry = put(tmp_path, a=a, b='import { c } from "./c.js";\nexport const b = c;\n', c="export const c = 1;\n")
    assert packed(entry).count(b"const c") == 1


def test_modules_may_import_each_other(tmp_path: Path) -> None:
    entry = put(tmp_path, a=A, b='import { a } from "./a.js";\nexport const b = () => a();\n')
    assert packed(entry) == b"const b = () => a();\nfunction a() {}\nexport { a };\n"


def test_what_is_passed_on_is_exported(tmp_path: Path) -> None:
    entry = put(tmp_path, a='export { b, c } from "./b.js";\n', b="export const b = 1;\nexport class c {}\n")
    assert packed(entry).endswith(b"export { b, c };\n")


def test_comments_indentation_and_ends_ahead_of_brackets_go_and_what_looks_like_them_stays(tmp_path: Path) -> None:
    text = """// one
/** two */
/**
 * three
 */
const url = "https://a/*"; // four
  // five
function half() {
  return 8 / 2; // six
}
const some = [
  [1],
  { two: half(), },
];
const text = "; // seven";
"""
    kept = """const url = "https://a/*";
function half() {
return 8 / 2}
const some = [
[1],
{ two: half(), }];
const text = "; // seven";
export {  };
"""
    assert packed(put(tmp_path, a=text)).decode() == kept


@pytest.mark.parametrize(
    "text",
    [
        'import b from "./b.js";\n',
        'import "./b.js";\n',
        'import * as b from "./b.js";\n',
        'import { b as other } from "./b.js";\n',
        'import { b } from "b";\n',
        'const b = import("./b.js");\n',
        "export default 1;\n",
        "export { a };\n",
        'import { b } from "./b.js";\nconst b = 2;\n',
    ],
)
def test_what_it_does_not_know_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError):
        packed(put(tmp_path, a=text, b="export const b = 1;\n"))
