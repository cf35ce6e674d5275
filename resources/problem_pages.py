"""`/problems/<code>`: what an error code means, for people. The `type` of every problem leads here."""

from flask import Response, render_template_string
from werkzeug.exceptions import NotFound

from resources.problems import PROBLEMS
from resources.reasons import REASONS
from web import security

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ code }}</title>
<meta name="color-scheme" content="light dark">
<link rel="icon" href="{{ asset_url('storefront/icon.svg') }}" type="image/svg+xml">
<link rel="stylesheet" href="{{ asset_url('style.css') }}">
<link rel="stylesheet" href="{{ asset_url('problem.css') }}">
<main class="wrap stack problem">
<h1><code>{{ code }}</code></h1>
<p>HTTP status {{ problem.status.value }}</p>
<h2>{{ problem.title.en }}</h2>
<p>{{ problem.detail.en }}</p>
<h2 lang="zh">{{ problem.title.zh }}</h2>
<p lang="zh">{{ problem.detail.zh }}</p>
{% if problem.members %}
<p>Further members: {% for member in problem.members %}<code>{{ member }}</code> {% endfor %}</p>
{% endif %}
{% if reasons %}
<dl>
{% for reason, text in reasons.items() %}
<dt><code>{{ reason }}</code></dt>
<dd>{{ text.en }} <span lang="zh">{{ text.zh }}</span></dd>
{% endfor %}
</dl>
{% endif %}
<p><a href="/docs">API</a></p>
</main>
</html>
"""


def show(code: str) -> Response:
    """The page of `code`."""
    if code not in PROBLEMS:
        raise NotFound
    page = render_template_string(_PAGE, code=code, problem=PROBLEMS[code], reasons=REASONS.get(code, {}))
    # Not for long: it names styles of one version.
    return security.page(page, cache="public, max-age=60")
