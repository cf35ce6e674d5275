"""`/problems/`: every error code; `/problems/<code>`: what it means and what to do. A problem's `type` leads here."""

from functools import partial
from itertools import groupby

from flask import Flask, Response, render_template_string
from werkzeug.exceptions import NotFound

from resources.http.problem_advice import ADVICE
from resources.http.problems import FIELD_PROBLEMS, HINTS, PROBLEMS
from resources.http.reasons import REASONS
from web import security

_FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<meta name="color-scheme" content="light dark">
<link rel="icon" href="{{ asset_url('storefront/icon.svg') }}" type="image/svg+xml">
<link rel="stylesheet" href="{{ asset_url('style.css') }}">
<link rel="stylesheet" href="{{ asset_url('problem.css') }}">
<main class="wrap stack problem">
%s
</main>
</html>
"""
_INDEX = (
    _FRAME
    % """<h1>Problems <span lang="zh">错误代码</span></h1>
<p>Every answer of 400 and above has one of these codes.</p>
{% for status, problems in groups %}
<h2>{{ status.value }} {{ status.phrase }}</h2>
<dl>
{% for code, problem in problems %}
<dt><a href="/problems/{{ code }}"><code>{{ code }}</code></a></dt>
<dd>{{ problem.detail.en }} <span lang="zh">{{ problem.detail.zh }}</span></dd>
{% endfor %}
</dl>
{% endfor %}
{% if docs %}<p><a href="/docs">API</a></p>{% endif %}
"""
)
_PAGE = (
    _FRAME
    % """<h1><code>{{ title }}</code></h1>
<p>HTTP status {{ problem.status.value }}</p>
{% for spoken in ("en", "zh") %}
<section lang="{{ spoken }}" class="stack">
<h2>{{ problem.title.in_language(spoken) }}</h2>
<p>{{ problem.detail.in_language(spoken) }}</p>
<h3>{{ "客户端" if spoken == "zh" else "What a client does" }}</h3>
<p>{{ advice.client.in_language(spoken) }}</p>
{% if advice.operator %}
<h3>{{ "运维人员" if spoken == "zh" else "What an operator does" }}</h3>
<p>{{ advice.operator.in_language(spoken) }}</p>
{% endif %}
</section>
{% endfor %}
{% if problem.members %}
<p>Further members: {% for member in problem.members %}<code>{{ member }}</code> {% endfor %}</p>
{% endif %}
{% if entries %}
<dl>
{% for entry, text in entries.items() %}
<dt><code>{{ entry }}</code></dt>
<dd>{{ text.en }} <span lang="zh">{{ text.zh }}</span>
{%- if entry in hints %} {{ hints[entry].en }} <span lang="zh">{{ hints[entry].zh }}</span>{% endif %}</dd>
{% endfor %}
</dl>
{% endif %}
<p><a href="/problems/">All problems <span lang="zh">全部错误代码</span></a></p>
{% if docs %}<p><a href="/docs">API</a></p>{% endif %}
"""
)
# Not for long: a page names styles of one version.
_CACHE_CONTROL = "public, max-age=60"


def register(app: Flask, docs: bool) -> None:
    """Serve the pages of `app`. They link to `/docs` where it is served."""
    app.add_url_rule("/problems/", view_func=partial(_index, docs), endpoint="problem_index", strict_slashes=False)
    app.add_url_rule("/problems/<code>", view_func=partial(_show, docs), endpoint="problem_page")


def _index(docs: bool) -> Response:
    groups = groupby(sorted(PROBLEMS.items(), key=lambda item: item[1].status), lambda item: item[1].status)
    listed = [(status, list(problems)) for status, problems in groups]
    page = render_template_string(_INDEX, title="Problems", groups=listed, docs=docs)
    return security.page(page, cache=_CACHE_CONTROL)


def _show(docs: bool, code: str) -> Response:
    if code not in PROBLEMS:
        raise NotFound
    # The reasons of a refusal, or the codes that a field can have.
    entries = FIELD_PROBLEMS if code == "validation_failed" else REASONS.get(code, {})
    known = {"title": code, "problem": PROBLEMS[code], "advice": ADVICE[code], "entries": entries, "hints": HINTS}
    return security.page(render_template_string(_PAGE, docs=docs, **known), cache=_CACHE_CONTROL)
