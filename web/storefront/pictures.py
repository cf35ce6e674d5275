"""Drawn pictures for items that have none: twelve tiles of plain shapes, the same for the same item each time."""

import hashlib
from zlib import crc32

from flask import Response
from werkzeug.exceptions import NotFound

_TILE, _COLUMNS, _ROWS = 100, 4, 3
WIDTH, HEIGHT = _TILE * _COLUMNS, _TILE * _ROWS
# Of each palette the first two are grounds, the others shapes.
_PALETTES = (
    ("f3e9dc", "e6d3bd", "c8553d", "2d4a53", "e9b44c", "7a9e9f"),
    ("e7eee9", "cfe0d8", "2f6b5b", "e3a857", "b5533c", "88b2a3"),
    ("ebe9f4", "d6d2ea", "5a4fa2", "e78f8e", "f2c57c", "3b365f"),
    ("fdf0e6", "f8d9c4", "d9693b", "41566e", "8fb8c9", "f0b67f"),
    ("e8f1f5", "cbdfe8", "20638f", "f2a65a", "dd5e56", "7fb0c8"),
    ("f6eeee", "ecd7d9", "a2435b", "3f4a5c", "d99a6c", "c98b98"),
)
_SHAPES = (
    "M0 0H100A100 100 0 0 1 0 100Z",  # a quarter
    "M0 50A50 50 0 0 1 100 50Z",  # a half
    "M50 8A42 42 0 1 1 49.9 8Z",  # a disc
    "M50 30A20 20 0 1 1 49.9 30Z",  # a dot
    "M0 0A100 100 0 0 1 100 100A100 100 0 0 1 0 0Z",  # a leaf
    "M0 0H100L0 100Z",  # a corner
    "M50 10A40 40 0 1 1 49.9 10ZM50 34A16 16 0 1 0 50.1 34Z",  # a ring
    "M0 8H100V24H0ZM0 42H100V58H0ZM0 76H100V92H0Z",  # stripes
    "",
)


def address(goods_id: int, name: str) -> str:
    """Where the picture of an item is. The address says all that it depends on."""
    return f"/shop/pictures/{crc32(f'{goods_id} {name}'.encode()):08x}.svg"


def show(picture: str) -> Response:
    """The picture at an address that `address` made."""
    if len(picture) != 8 or not set(picture) <= set("0123456789abcdef"):
        raise NotFound
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(draw(picture), content_type="image/svg+xml; charset=utf-8", headers=headers)


def draw(picture: str) -> str:
    """The drawing for a text."""
    chance = hashlib.sha256(picture.encode()).digest() * 2
    palette = _PALETTES[chance[0] % len(_PALETTES)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<path fill="#{palette[0]}" d="M0 0H{WIDTH}V{HEIGHT}H0Z"/>'
    ]
    for tile in range(_COLUMNS * _ROWS):
        look, colour = chance[2 * tile + 1], chance[2 * tile + 2]
        row, column = divmod(tile, _COLUMNS)
        turned = f"rotate({look // 64 * 90} 50 50)"
        parts.append(f'<g transform="translate({column * _TILE} {row * _TILE})">')
        if colour & 64:
            parts.append(f'<path fill="#{palette[1]}" shape-rendering="crispEdges" d="M0 0H100V100H0Z"/>')
        shape = _SHAPES[look % len(_SHAPES)]
        if shape:
            parts.append(f'<path fill="#{palette[2 + colour % 4]}" transform="{turned}" d="{shape}"/>')
        parts.append("</g>")
    return "".join(parts) + "</svg>"
